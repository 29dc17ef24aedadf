"""What a report says beside its ranking: which runs are not in it, and what TensorBoard shows."""

from pathlib import Path

from optlab.loggers.table import METRICS_FOLDER
from optlab.records import Survey

#: Damaged records that are quoted; of more the text says how many.
MOST_QUOTED = 10


def notes(root: Path, found: Survey) -> list[str]:
    """Return paragraphs, each with a line break at its end; none where there is nothing to say."""
    return [note for note in (_damaged(found), _unfinished(found), _shown(root, found)) if note]


def _damaged(found: Survey) -> str:
    if not found.damaged:
        return ""
    count = len(found.damaged)
    are = "run is damaged and" if count == 1 else "runs are damaged and"
    quoted = [f"  {error}" for error in found.damaged.values()][:MOST_QUOTED]
    more = [f"  and {count - MOST_QUOTED:,} more"] if count > MOST_QUOTED else []
    return "\n".join([f"{count:,} {are} not in the ranking:", *quoted, *more]) + "\n"


def _unfinished(found: Survey) -> str:
    if not found.unfinished:
        return ""
    count = len(found.unfinished)
    runs = "run that began has" if count == 1 else "runs that began have"
    return (
        f"{count:,} {runs} no result and no place in the ranking, killed or in training now: "
        f"{found.unfinished[0].name}{' ...' if count > 1 else ''}\n"
    )


def _shown(root: Path, found: Survey) -> str:
    shown, ended = len(found.shown), len(found.records)
    if not 0 < shown < ended:
        return ""
    table = root / METRICS_FOLDER
    where = f"; the curves of all are in {table}" if table.is_dir() else ""
    return f"TensorBoard shows {shown:,} of {ended:,} runs (sweep.tensorboard_runs){where}\n"
