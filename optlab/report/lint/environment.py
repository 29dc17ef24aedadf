"""Whether all runs were made by the same code on the same machine."""

from collections import Counter
from collections.abc import Iterator

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import MOST_NAMED, compared
from optlab.report.lint.lines import anew
from optlab.report.lint.whole import whole_lines
from optlab.report.page import Objection
from optlab.report.sections.arrange import listed

COMMIT_DIGITS = 7
#: Variables that say what `threads` says: a run sets its own number.
OF_THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")


def mixed_environment(evidence: Evidence) -> list[Objection]:
    """Object where what runs were made by differs.

    Code that is in no commit is told in the report's environment: all runs alike, it favours none.
    """
    runs = [run for own in evidence.runs.values() for run in own]
    if not compared(evidence):
        return []
    stated = [dict(_stated(run)) for run in runs if run.result.versions]  # else it never began
    names = list(dict.fromkeys(name for each in stated for name in each))
    counts = {name: Counter(each.get(name, "unknown") for each in stated) for name in names}
    mixed = {name: count for name, count in counts.items() if len(count) > 1}
    if not mixed:
        return []
    told = [_told(name, count) for name, count in mixed.items()]
    more = [f"{len(told) - MOST_NAMED} more"] if len(told) > MOST_NAMED else []
    sentence = f"Runs were not made alike: {'; '.join([*told[:MOST_NAMED], *more])}."
    return [Objection("mixed_environment", sentence, anew(whole_lines(evidence)))]


def _stated(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield what can change the result of a run beside its configuration, by name."""
    result = run.result
    yield "device", result.device
    yield "platform", result.platform
    yield "threads", str(result.threads)
    changed = " with changes" if result.dirty else ""
    yield "commit", (result.commit or "unknown")[:COMMIT_DIGITS] + changed
    yield from result.versions.items()
    yield from ((n, value) for n, value in result.flags.items() if n not in OF_THREADS)


def _told(name: str, counts: Counter[str]) -> str:
    """Return ``torch 2.11 in 30 runs, 2.12 in 6``."""
    parts = [f"{value or 'unknown'} in {count:,}" for value, count in counts.most_common()]
    return f"{name} {listed(parts, MOST_NAMED)} runs"
