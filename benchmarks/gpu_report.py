"""The figures of `benchmarks/gpu.py` in words: what was aimed at, tables, and the circumstances."""

import statistics
from typing import Any

from benchmarks.peers import cell

OURS, PLAIN = "qwenchat", "transformers, dynamic cache"


def table(report: dict[str, Any]) -> str:
    """What a token's time goes to, speeds, circumstances and faults, and last what was reached of what was aimed at."""
    decoding = report.get("decoding", {"rows": [], "faults": {}})
    wrong = [f"WRONG: {check['name']}: {check['found']}" for check in report.get("checks", []) if not check["right"]]
    faults = decoding["faults"] | report["failed"]
    return "\n".join(
        [
            *_times(report),
            *_speeds({(row["peer"], row["context"]): row for row in decoding["rows"]}),
            *_circumstances(report, decoding),
            *(f"- {name}: {fault}" for name, fault in faults.items()),
            *wrong,
            *_goals(report, {(row["peer"], row["context"]): row for row in decoding["rows"]}),
        ]
    )


def _times(report: dict[str, Any]) -> list[str]:
    lines = ["| a token's time | count | us |", "|---|---|---|"]
    for name, found in report.get("pieces_us", {}).items():
        lines.append(f"| {name} | | {found[:80] if isinstance(found, str) else format(found, '.0f')} |")
    rows = report.get("kernels", [])
    lines += [f"| {row['name']} | {row['count']:.0f} | {row['microseconds']:.1f} |" for row in rows]
    return [*lines, ""]


def _speeds(rows: dict[tuple[str, int], dict[str, Any]]) -> list[str]:
    """A row a measurement, a column a subject."""
    names = list(dict.fromkeys(name for name, _ in rows))
    contexts = sorted({context for _, context in rows})
    lines = ["| tokens/s | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, rate in (("decode @", "decode_tokens_per_s"), ("prefill ", "prefill_tokens_per_s")):
        for context in contexts:
            cells = (cell(rows.get((name, context)), rate, rate.startswith("decode")) for name in names)
            lines.append(f"| {title}{context} | " + " | ".join(cells) + " |")
    for context in contexts:
        found = (rows.get((name, context)) for name in names)
        firsts = (f"{1000 * context / row['prefill_tokens_per_s']['median']:.1f} ms" if row else "-" for row in found)
        lines.append(f"| first token @{context} | " + " | ".join(firsts) + " |")
    return [*lines, ""]


def _circumstances(report: dict[str, Any], decoding: dict[str, Any]) -> list[str]:
    captures = report.get("capture_s") or [0.0]
    said = [
        f"{report['device']}, torch {report['torch']}, {report['dtype']}; {report['shape']} with random weights, "
        f"sampling included; at most {report['rounds']} rounds; medians ± half the range.",
        f"{len(report.get('capture_s', []))} recordings, {1000 * statistics.median(captures):.0f} ms in the middle, "
        f"{1000 * max(captures):.0f} ms at most.",
        "Seconds: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in report["seconds"].items()) + ".",
    ]
    if "bandwidth_gb_s" in decoding:
        said[0] += (
            f" A copy moves {decoding['bandwidth_gb_s']['median']:.0f} GB/s; in brackets the share of that which "
            "reading weights and cache once a token stands for."
        )
    return said


def _goals(report: dict[str, Any], rows: dict[tuple[str, int], dict[str, Any]]) -> list[str]:
    """What was aimed at with an H100, and what was reached."""
    lines = ["", "| goal | aimed at | reached |", "|---|---|---|"]
    ours, plain = rows.get((OURS, 512)), rows.get((PLAIN, 512))
    if ours:
        speed = ours["decode_tokens_per_s"]["median"]
        lines.append(f"| decode @512 | 1,000 tokens/s | {speed:,.0f} |")
        lines.append(f"| share of the bandwidth @512 | 40 % | {ours['bandwidth_share']:.0%} |")
        if plain:
            times = speed / plain["decode_tokens_per_s"]["median"]
            lines.append(f"| beside `generate` of transformers @512 | 10 times | {times:.1f} |")
    if firsts := report.get("first_token_ms"):
        alone, later = firsts.values()
        lines.append(
            f"| first token behind 4,000 tokens, beside alone | 1.3 times | {later / alone:.2f} ({later:.0f} ms) |"
        )
    if (stop := report.get("longest_stop_ms")) is not None:
        lines.append(f"| stop while a prompt is read | 100 ms | {stop:.0f} ms |")
    return lines
