"""Measures how fast models answer on this machine, for people and scripts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.errors import ModelNotFound
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.suggest import did_you_mean
from qwenchat.console.table import aligned
from qwenchat.console.turn_printer import LoadReport
from qwenchat.engine.local import hardware, measure
from qwenchat.engine.local.catalog import KNOWN, KnownModel, find
from qwenchat.engine.local.measure import MeasuredModel
from qwenchat.i18n.texts import count, listed, say
from qwenchat.system.paths import Paths


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """One measurement."""

    quantization: str
    context: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    bandwidth_share: float
    """Of the bandwidth, what reading weights and cache once a token stands for."""
    load_s: float


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """What was measured, and of what."""

    model: str
    device: str
    threads: int
    bandwidth_gb_s: float
    rows: tuple[BenchmarkRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `load_s` is that of the first quantization, and each row has its own."""
        rows = [
            {
                "quantization": row.quantization,
                "context": row.context,
                "prefill_tokens_per_s": round(row.prefill_tokens_per_s, 1),
                "decode_tokens_per_s": round(row.decode_tokens_per_s, 1),
                "bandwidth_share": round(row.bandwidth_share, 3),
                "load_s": round(row.load_s, 2),
            }
            for row in self.rows
        ]
        return {
            "model": self.model,
            "device": self.device,
            "threads": self.threads,
            "bandwidth_gb_s": round(self.bandwidth_gb_s, 1),
            "load_s": rows[0]["load_s"],
            "rows": rows,
        }

    def as_text(self) -> str:
        """For people."""
        lines = [
            (say("QUANTIZATION"), say("CONTEXT"), say("PREFILL"), say("DECODE"), say("BANDWIDTH"), say("LOADED IN"))
        ]
        lines += [
            (
                row.quantization,
                f"{row.context:,}",
                f"{row.prefill_tokens_per_s:,.0f}/s",
                f"{row.decode_tokens_per_s:,.1f}/s",
                f"{row.bandwidth_share:.0%}",
                say("{seconds:.1f} s", seconds=row.load_s),
            )
            for row in self.rows
        ]
        legend = say(
            "Tokens a second, sampling included: PREFILL of a prompt that long, DECODE of the tokens after it.\n"
            "BANDWIDTH is the share that reading weights and cache once a token has of what memory gives."
        )
        return f"{self._where()}\n\n{aligned(lines)}\n\n{legend}"

    def _where(self) -> str:
        if self.device == "cpu":
            return count(
                "{model} on cpu, {number} thread; memory is read at {speed:.1f} GB/s.",
                "{model} on cpu, {number} threads; memory is read at {speed:.1f} GB/s.",
                self.threads,
                model=self.model,
                speed=self.bandwidth_gb_s,
            )
        return say(
            "{model} on {device}; memory is read at {speed:.1f} GB/s.",
            model=self.model,
            device=self.device,
            speed=self.bandwidth_gb_s,
        )


def run(
    model: str | None, shape: str | None, device: str, quantizations: Iterable[str], contexts: list[int], rounds: int
) -> BenchmarkReport:
    """Measure a model, or random weights in a known shape; progress goes to standard error.

    Raises ModelError, and ConfigInvalid for what cannot be measured here.
    """
    report = LoadReport(lines=True)
    plans = [hardware.choose(device, quantization) for quantization in quantizations]
    longest = max(contexts) + measure.STEPS + 1
    rows: list[BenchmarkRow] = []
    try:
        report.show(LoadProgressed(say("measuring the memory")))
        bandwidth = measure.bandwidth(plans[0].device)
        for plan in plans:
            if shape is None:
                subject = measure.of_model(model, plan, longest, Paths.of_user(), report.show)
            else:
                subject = measure.of_shape(_known(shape), plan, longest, report.show)
            rows += _rows(subject, contexts, rounds, bandwidth, report)
            subject.network.close()
    finally:
        report.clear()
    return BenchmarkReport(subject.name, subject.device, hardware.cpu_threads(), bandwidth / 1e9, tuple(rows))


def _rows(
    subject: MeasuredModel, contexts: list[int], rounds: int, bandwidth: float, report: LoadReport
) -> list[BenchmarkRow]:
    return [
        BenchmarkRow(
            subject.quantization,
            speed.context,
            speed.prefill_tokens_per_s,
            speed.decode_tokens_per_s,
            speed.step_bytes * speed.decode_tokens_per_s / bandwidth,
            subject.load_s,
        )
        for speed in measure.speeds(subject, contexts, rounds, report.show)
    ]


def _known(shape: str) -> KnownModel:
    known = find(shape)
    if known is None:
        names = listed(model.name for model in KNOWN)
        suggestion = did_you_mean(shape, [model.name for model in KNOWN])
        raise ModelNotFound(
            say("There is no shape {shape}.", shape=shape), suggestion or say("There are: {names}.", names=names)
        )
    return known
