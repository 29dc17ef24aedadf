"""What is left to say at the end of a multirun."""

import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from optlab.records import survey
from optlab.saying import tell, warn
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.run_folder import LEDGER_FILE

#: Runs that are named with their cause; of more the summary tells the causes.
MOST_NAMED = 100


def summarize(folder: Path) -> int:
    """Print how the runs below ``folder`` ended, each failure with its cause.

    Prints nothing for a folder that was never made (``--cfg``, ``--help``).

    Returns:
        The number of runs that failed, were interrupted, have a damaged record, or began and have
        no result: those of a process that was killed.
    """
    if not folder.is_dir():
        return 0
    found = survey(folder)
    counts = Counter(record.result.status for record in found.records)
    listing = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    runs = "1 run" if len(found.records) == 1 else f"{len(found.records)} runs"
    tell(f"{runs} in {folder}" + (f": {listing}" if listing else ""))
    failed = [
        _Failed(r.result.status, r.folder.name, r.result.cause)
        for r in found.records
        if r.result.status not in ("done", "diverged")
    ]
    failed += _known_to_the_ledger(folder, {record.folder for record in found.records})
    for line in _named(failed):
        warn(f"  {line}")
    for error in found.damaged.values():
        warn(f"  damaged: {error}")
    if found.unfinished:
        how = f"optlab sweep --resume {shlex.quote(str(folder))}"
        warn(f"  {len(found.unfinished)} unfinished: the same line again does them, or {how}")
    return len(failed) + len(found.damaged) + len(found.unfinished)


class _Failed(NamedTuple):
    """A run that came to no end of its own."""

    status: str
    name: str
    cause: str | None

    @property
    def line(self) -> str:
        """First line of the cause."""
        return (self.cause or "").partition("\n")[0]


def _known_to_the_ledger(folder: Path, recorded: Collection[Path]) -> list[_Failed]:
    """Return the failed runs whose folder could not take a record."""
    if not (folder / LEDGER_FILE).exists():
        return []
    with LedgerReader(folder) as ledger:
        entries = ledger.entries("state IN ('failed', 'killed')")
    return [_Failed(e.state, e.name, e.cause) for e in entries if e.folder not in recorded]


def _named(failed: Sequence[_Failed]) -> list[str]:
    """Return a line for each of the first runs, and one for each cause of the others."""
    shown, rest = failed[:MOST_NAMED], failed[MOST_NAMED:]
    lines = [f"{each.status}: {each.name}: {each.line}" for each in shown]
    causes = Counter((each.status, each.line) for each in rest)
    return lines + [f"{n} more {end}: {cause}" for (end, cause), n in causes.most_common()]
