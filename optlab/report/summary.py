"""What a folder of runs says as one JSON object, for programs."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optlab.records import survey
from optlab.report.tables import RANKING_FILE, read_ranking

#: Ends of runs that are results.
RESULTS = ("done", "diverged")


def summary(folder: str | Path) -> dict[str, Any]:
    """Return how the runs at or below a folder ended.

    Returns:
        ``folder``; ``runs`` (their number by status); ``failed`` (each run that failed or was
        interrupted, with status and cause); ``damaged`` (folders whose record cannot be read, with
        the reason); ``unfinished`` (folders of runs that began and have no result).

    Raises:
        ConfigError: When the folder does not exist.
    """
    root = Path(folder)
    found = survey(root)
    results = [(record.folder, record.result) for record in found.records]
    return {
        "folder": str(root),
        "runs": dict(sorted(Counter(result.status for _, result in results).items())),
        "failed": [
            {"run": str(place.relative_to(root)), "status": result.status, "cause": result.cause}
            for place, result in results
            if result.status not in RESULTS
        ],
        "damaged": {str(place): str(error) for place, error in found.damaged.items()},
        "unfinished": [str(place) for place in found.unfinished],
    }


def ranked_summary(folder: str | Path) -> dict[str, Any]:
    """Return `summary` and ``ranking``, the cells of the report that was written there.

    They are as in `optlab.report.cells.Cell`, the best first in each ``group``.

    Raises:
        ConfigError: When the folder or its ranking cannot be read.
    """
    table = Path(folder) / RANKING_FILE
    groups = read_ranking(table).groups if table.exists() else {}
    cells = [{"group": group, **asdict(cell)} for group, cells in groups.items() for cell in cells]
    return {**summary(folder), "ranking": cells}
