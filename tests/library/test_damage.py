"""Thousands of damaged libraries: each opens, or is refused with a way out, and nothing readable is lost."""

import random
import shutil
import sys
from pathlib import Path

import pytest

from qwenchat.library import encoding, salvage
from qwenchat.library.library import Library
from tests.support.library_damage import NAME, Counts, check, damages, make


def damaged(folder: Path, number: int, seed: int, *, backup: bool) -> Counts:
    """Damage a library so many times, each time another way."""
    path = make(folder / "whole", backup=backup)
    files = {str(file.relative_to(path.parent)): file.read_bytes() for file in path.parent.rglob("*.sqlite3")}
    library = Library.open(path)
    originals = {
        encoding.pack_parts(message.parts): message.text
        for archived in (False, True)
        for row in library.conversations(archived=archived)
        for message in library.read(row.id).messages
    }
    library.close()
    counts, ways = Counts(), damages(random.Random(seed), files)
    for trial in range(number):
        place = folder / "damaged"
        place.mkdir()
        try:
            check(place / NAME, next(ways), originals, counts)
        except Exception as error:
            raise AssertionError(f"seed {seed}, trial {trial}") from error
        shutil.rmtree(place)
    return counts


@pytest.mark.parametrize("backup", [True, False], ids=["backup", "no backup"])
def test_a_damaged_library_opens_and_nothing_readable_is_lost(folder: Path, backup: bool) -> None:
    counts = damaged(folder, 20, 1, backup=backup)
    assert counts.tried == 20


@pytest.mark.parametrize("columns", [12, 13, 15])
def test_a_message_is_taken_from_a_row_with_columns_too_few_or_too_many(columns: int) -> None:
    row = [None, "a", "c", None, "user", b"parts", 1.0, "complete", "", None, None, None, None, None, None][:columns]
    taken = salvage._message(7, row)
    assert taken is not None
    assert taken[:6] == (7, "a", "c", None, "user", b"parts")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_five_thousand_damaged_libraries_open_and_nothing_readable_is_lost(
    folder: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = damaged(folder, 500, 100 + seed, backup=seed % 2 == 0)
    with capsys.disabled():
        sys.stdout.write(f"\n{counts}\n")
