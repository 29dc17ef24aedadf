"""Where results come from: versions, machines, commits, engines, and when."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Section, Table
from optlab.report.text import plural

UNKNOWN = "not recorded"
SHORT = 12  # digits of a commit
EXECUTION, TOGETHER = "execution", "runs that trained together"
#: What may differ without a difference in results but for rounding.
HARMLESS = (EXECUTION, TOGETHER)


def environment(evidence: Evidence) -> Section:
    """Return what computed the runs, and say where that is not the same for all."""
    runs = [run for own in evidence.runs.values() for run in own]
    facts = _facts(runs)
    mixed = [name for name, counts in facts.items() if len(counts) > 1 and name not in HARMLESS]
    has_versions = any(run.result.versions for run in runs)
    return Section(
        "environment",
        "Environment",
        tuple(
            filter(
                None, (_mixed(mixed, has_versions), _dirty(facts), _engines(facts), _times(runs))
            )
        ),
        tables=(_table(facts),),
    )


def _mixed(mixed: Sequence[str], has_versions: bool) -> str:
    if not has_versions:
        return "No run has a record of the versions that computed it."
    if not mixed:
        return "All runs come from the same versions, code, device and settings."
    return (
        f"Not all runs come from the same environment: they differ in {', '.join(mixed)}. A "
        "difference between cells may be one between environments; the table has the counts."
    )


def _dirty(facts: Mapping[str, Counter[str]]) -> str:
    count = facts["uncommitted changes"]["yes"]
    if not count:
        return ""
    return (
        f"{plural(count, 'run')} came from a working tree with uncommitted changes: their commit "
        "alone does not give the code that made them."
    )


def _engines(facts: Mapping[str, Counter[str]]) -> str:
    counts = facts[EXECUTION]
    if len(counts) < 2:
        return ""
    listed = ", ".join(f"{name} ({count})" for name, count in counts.most_common(4))
    return (
        f"Updates were executed in {len(counts)} ways: {listed}"
        f"{' ...' if len(counts) > 4 else ''}. Ways of execution agree but for rounding; times "
        "compare them as much as the methods."
    )


def _times(runs: Sequence[RunRecord]) -> str:
    total = sum(run.result.total_s for run in runs)
    training = sum(run.result.training_s for run in runs)
    days = sorted(run.result.started for run in runs)
    first, last = (text[:16].replace("T", " ") for text in (days[0], days[-1]))
    when = f"started {first} UTC" if first == last else f"started {first} to {last} UTC"
    return (
        f"{plural(len(runs), 'run')}, {when}, took {_clock(total)} in all, {_clock(training)} of "
        "it in updates; runs that trained together share their time."
    )


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    return str(timedelta(seconds=round(seconds)))


def _facts(runs: Sequence[RunRecord]) -> dict[str, Counter[str]]:
    """Return how many runs had each value of everything that a result may depend on."""
    facts: dict[str, Counter[str]] = {}
    for run in runs:
        for name, value in _of(run).items():
            facts.setdefault(name, Counter())[value] += 1
    for counts in facts.values():
        # What some run does not name is another value: a package or a flag that it did not have.
        if (rest := len(runs) - counts.total()) > 0:
            counts[UNKNOWN] += rest
    return facts


def _of(run: RunRecord) -> dict[str, str]:
    result = run.result
    versions = {f"version of {name}": version for name, version in result.versions.items()}
    return {
        "commit of optlab": result.commit[:SHORT] if result.commit else UNKNOWN,
        "uncommitted changes": {True: "yes", False: "no", None: UNKNOWN}[result.dirty],
        **versions,
        "platform": result.platform or UNKNOWN,
        "device": result.device or UNKNOWN,
        "threads": UNKNOWN if result.threads is None else str(result.threads),
        EXECUTION: result.execution or UNKNOWN,
        TOGETHER: (
            UNKNOWN if result.shared_by is None else "1, alone" if result.shared_by == 1 else "more"
        ),
        **result.flags,
    }


def _table(facts: Mapping[str, Counter[str]]) -> Table:
    columns = (Column("what", "what"), Column("value", "value"), Column("runs", "runs"))
    rows = [
        (name, value, count) for name, counts in facts.items() for value, count in counts.items()
    ]
    caption = "A row for each value: what has several is not the same for all runs."
    return Table("environment", "What computed the runs", caption, columns, rows)
