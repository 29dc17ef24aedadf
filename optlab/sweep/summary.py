"""What is left to say at the end of a multirun."""

from collections import Counter
from pathlib import Path

from optlab.results import CONFIG_FILE, RESULT_FILE, collect


def summarize(folder: Path) -> int:
    """Print how the runs below ``folder`` ended, each failure with its cause.

    Prints nothing for a folder that was never made (``--cfg``, ``--help``).

    Returns:
        The number of runs that failed, were interrupted, or began and have no result: those of a
        process that was killed.
    """
    if not folder.is_dir():
        return 0
    records = collect(folder)
    counts = Counter(record.result.status for record in records)
    listing = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    runs = "1 run" if len(records) == 1 else f"{len(records)} runs"
    print(f"{runs} in {folder}" + (f": {listing}" if listing else ""))
    failed = [r for r in records if r.result.status not in ("done", "diverged")]
    for record in failed:
        print(f"  {record.result.status}: {record.folder.name}: {record.result.cause}")
    unfinished = unfinished_runs(folder)
    if unfinished:
        print(f"  {len(unfinished)} unfinished: the same line again does them")
    return len(failed) + len(unfinished)


def unfinished_runs(folder: Path) -> list[Path]:
    """Return the run folders below ``folder`` that hold a configuration and no result."""
    begun = sorted(path.parent for path in folder.rglob(CONFIG_FILE))
    return [run for run in begun if not (run / RESULT_FILE).exists()]
