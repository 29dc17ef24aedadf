"""What ledgers say of sweeps, as records that a report can be made of."""

import os
from collections.abc import Iterable
from pathlib import Path

from optlab.records import Missing, SweepRecord
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.run_folder import LEDGER_FILE


def sweep_records(folders: Iterable[str | Path]) -> list[SweepRecord]:
    """Return every sweep at or below some folders, in order of path.

    Raises:
        LedgerError: When a ledger cannot be read.
    """
    return [_record(place) for folder in folders for place in _sweeps(Path(folder))]


def _sweeps(folder: Path) -> list[Path]:
    """Return the folders with a ledger; a sweep has no other sweep among its runs."""
    found = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        if LEDGER_FILE in files:
            found.append(Path(place))
            folders.clear()
    return found


def _record(folder: Path) -> SweepRecord:
    with LedgerReader(folder) as ledger:
        lines = tuple(tuple(line) for line in ledger.lines())
        numbers = ledger.missing()
        entries = ledger.entries()
        states = {entry.number: entry.state for entry in entries}
        missing = tuple(
            Missing(run.config, states[run.number], run.folder) for run in ledger.planned(numbers)
        )
    return SweepRecord(folder, lines, missing, tuple(entry.folder for entry in entries))
