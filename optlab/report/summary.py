"""What a folder of runs says as one JSON object, for programs."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optlab.records import survey
from optlab.report.report import Told

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


def ranked_summary(told: Told | None, *folders: str | Path) -> dict[str, Any]:
    """Return `summary`, and what a report says of the runs.

    That is ``ranking``, its cells as in `optlab.report.cells.Cell`, the best first in each
    ``group``, and ``objections``, each as `optlab.report.page.Objection`.

    Args:
        told: The report; None where no run has ended that it could be of.
        folders: Of the runs.

    Raises:
        ConfigError: When a folder does not exist.
    """
    groups = told.ranking.groups if told else {}
    cells = [{"group": group, **asdict(cell)} for group, cells in groups.items() for cell in cells]
    against = [asdict(each) for each in told.objections] if told else []
    return {**summary(*folders), "ranking": cells, "objections": against}
