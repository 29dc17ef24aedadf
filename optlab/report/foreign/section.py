"""The section of a report that says how the logs of others were read."""

import json
from collections.abc import Sequence
from pathlib import Path

from optlab.report.evidence import Evidence
from optlab.report.foreign.runs import IMPORTED_FILE
from optlab.report.page import Section
from optlab.report.sections import Builder
from optlab.report.text import capital

NOT_KNOWN = (
    "Logs do not tell how these runs were tuned, nor whether their test values had a part in it: "
    "what the report says of that is said of its own ranking alone."
)


def imported_sections(folders: Sequence[Path]) -> tuple[Builder, ...]:
    """Return the section on the runs in these folders that were imported, if there are any."""
    told = [line for folder in folders for line in _told(folder)]

    def built(_: Evidence) -> Section:
        lines = tuple(f"{capital(line)}." for line in told)
        return Section("imported", "How the logs were read", (*lines, NOT_KNOWN), after="question")

    return (built,) if told else ()


def _told(folder: Path) -> list[str]:
    """Return what was said at the import; one of an earlier version noted nothing."""
    path = folder / IMPORTED_FILE
    told: list[str] = json.loads(path.read_bytes()).get("told", []) if path.is_file() else []
    return told
