"""What a folder of runs says as one JSON object, for programs."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optlab.records import survey
from optlab.report.tables import RANKING_FILE, read_ranking

#: Ends of runs that are results.
RESULTS = ("done", "diverged")


def summary(*folders: str | Path) -> dict[str, Any]:
    """Return how the runs at or below some folders ended.

    Returns:
        ``folder``, or ``folders`` where there are several; ``runs`` (their number by status);
        ``failed`` (each run that failed or was interrupted, with status and cause); ``damaged``
        (folders whose record cannot be read, with the reason); ``unfinished`` (folders of runs that
        began and have no result).

    Raises:
        ConfigError: When a folder does not exist.
    """
    found = {Path(folder): survey(folder) for folder in folders}
    results = [(root, record) for root, each in found.items() for record in each.records]
    names = [str(root) for root in found]
    return {
        **({"folder": names[0]} if len(names) == 1 else {"folders": names}),
        "runs": dict(sorted(Counter(record.result.status for _, record in results).items())),
        "failed": [
            {
                "run": str(record.folder.relative_to(root)),
                "status": record.result.status,
                "cause": record.result.cause,
            }
            for root, record in results
            if record.result.status not in RESULTS
        ],
        "damaged": {
            str(place): str(error)
            for each in found.values()
            for place, error in each.damaged.items()
        },
        "unfinished": [str(place) for each in found.values() for place in each.unfinished],
    }


def ranked_summary(folder: str | Path, *sources: str | Path) -> dict[str, Any]:
    """Return `summary` and ``ranking``, the cells of the report that was written there.

    They are as in `optlab.report.cells.Cell`, the best first in each ``group``.

    Args:
        folder: Where the report is.
        sources: The folders of its runs, if they are others.

    Raises:
        ConfigError: When the folder or its ranking cannot be read.
    """
    table = Path(folder) / RANKING_FILE
    groups = read_ranking(table).groups if table.exists() else {}
    cells = [{"group": group, **asdict(cell)} for group, cells in groups.items() for cell in cells]
    return {**summary(*sources or (folder,)), "ranking": cells}
