"""Names of the files of tables and figures."""

import re
from collections.abc import Iterable

MOST_CHARACTERS = 60


def file_names(base: str, groups: Iterable[str]) -> dict[str, str]:
    """Return the name of what is made once for each group, by group.

    Names are unique, in lower case with underscores: ``"ranking_rosenbrock"``. What is made for one
    group alone goes by ``base``.
    """
    groups = list(groups)
    if len(groups) == 1:
        return {groups[0]: base}
    found: dict[str, str] = {}
    for number, group in enumerate(groups, start=1):
        words = re.sub(r"[^a-z0-9]+", "_", group.lower()).strip("_")[:MOST_CHARACTERS]
        name = f"{base}_{words or number}"
        found[group] = name if name not in found.values() else f"{name}_{number}"
    return found
