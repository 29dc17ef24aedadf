"""What is left to say at the end of a multirun."""

from collections import Counter
from pathlib import Path

from optlab.results import collect


def summarize(folder: Path) -> int:
    """Print how the runs below ``folder`` ended, each failure with its cause; return their number.

    Prints nothing for a folder that was never made (``--cfg``, ``--help``).
    """
    if not folder.is_dir():
        return 0
    records = collect(folder)
    counts = Counter(record.result.status for record in records)
    listing = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    print(f"{len(records)} runs in {folder}: {listing}")
    failed = [r for r in records if r.result.status not in ("done", "diverged")]
    for record in failed:
        print(f"  {record.result.status}: {record.folder.name}: {record.result.cause}")
    return len(failed)
