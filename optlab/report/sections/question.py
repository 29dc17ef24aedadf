"""The question that runs were made to answer: what varied, what was held, what decides."""

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from optlab.identity import OUTCOME_FREE
from optlab.records import RunRecord, varying
from optlab.report.cells import ACCURACY
from optlab.report.evidence import Evidence
from optlab.report.lint.lines import lines_of
from optlab.report.measures.seedless import is_seedless
from optlab.report.page import Column, Section, Table
from optlab.report.phrases import OPTIMIZER, show, typed
from optlab.report.text import headings, plural

#: Keys that say in one sentence what was held, as far as it is not switched off.
TOLD = (
    *("task.name", "model.name", "model.hidden", "activation.name", "init.name", "norm.name"),
    *("optimizer.name", "optimizer.lr", "schedule.name", "trainer.epochs", "trainer.batch_size"),
)
OFF = (None, "none", "auto", False)


def question(evidence: Evidence) -> Section:
    """Return what varied, what was held, and by what rule the answer was found."""
    factors = {key: _values(evidence.records, key) for key in _varying(evidence)}
    held, commands = _held(evidence.records), _commands(evidence)
    sentences = [
        _varied(evidence, factors),
        _kept(held),
        _rule(evidence),
        _ends(evidence),
        _missing(evidence),
        "Typed, but for the folder:" if commands else "",
    ]
    tables = [_factor_table(factors), _held_table(held)]
    return Section(
        "question",
        "The question",
        tuple(filter(None, sentences)),
        commands=commands,
        tables=tuple(table for table in tables if table.rows),
    )


def _varying(evidence: Evidence) -> list[str]:
    """Return the keys that vary, as the ranking orders them, the seed last."""
    keys = set(varying(evidence.records))
    ordered = [key for key in evidence.ranking.keys if key in keys]
    return [*ordered, "seed"] if "seed" in keys else ordered


def _varied(evidence: Evidence, factors: dict[str, list[Any]]) -> str:
    cells = evidence.ranking.cells
    counts = f"{plural(sum(c.runs for c in cells), 'run')} in {plural(len(cells), 'cell')}"
    if not factors:
        return f"{counts}: nothing varied."
    told = [key for key in factors if not _goes_with_optimizer(evidence.records, key)]
    words = [
        f"{name} ({plural(len(values), 'value')}{_range(values)})"
        for name, values in zip(headings(told), [factors[key] for key in told], strict=True)
    ]
    return f"{counts}: {', '.join(words)} varied. {_seeds(evidence)}"


def _goes_with_optimizer(records: Sequence[RunRecord], key: str) -> bool:
    """Say whether the optimizer's name fixes an option, as the batch of batch gradient descent."""
    pairs = {(repr(r.options.get(OPTIMIZER)), repr(r.options.get(key))) for r in records}
    names = {name for name, _ in pairs}
    return key.partition(".")[0] != "optimizer" and len(pairs) == len(names) > 1


def _range(values: Sequence[Any]) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values) or any(isinstance(value, bool) for value in values):
        return ""
    return f", {show(numbers[0])} to {show(numbers[-1])}"


def _seeds(evidence: Evidence) -> str:
    counts = sorted({cell.runs for cell in evidence.ranking.cells})
    if counts == [1] and all(is_seedless(evidence, cell) for cell in evidence.ranking.cells):
        return "A cell is one run here, and seeds change nothing in it."
    if counts == [1]:
        return "A cell is one run here: nothing is known of how far seeds scatter."
    of_each = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"The runs of a cell, {of_each} of each, differ in the seed alone."


def _kept(held: dict[str, Any]) -> str:
    told = [key for key in TOLD if key in held and held[key] not in OFF]
    words = [f"{name}={show(held[key])}" for name, key in zip(headings(told), told, strict=True)]
    if not words:
        return ""
    return f"Held for all: {', '.join(words)}; the table below has the rest."


def _rule(evidence: Evidence) -> str:
    by_metric: dict[str, list[str]] = {}
    for group, metric in evidence.ranking.metrics.items():
        by_metric.setdefault(metric, []).append(group)
    rules = [
        f"by mean validation {metric} over seeds"
        + (f" ({', '.join(groups)})" if len(by_metric) > 1 else "")
        for metric, groups in sorted(by_metric.items())
    ]
    several = len(evidence.ranking.groups) > 1
    is_tested = any(record.result.test for record in evidence.records)
    test = (
        " Nothing was chosen by the test split: it was measured once, after training, and stands "
        "beside the ranking."
    )
    return (
        f"Cells are ranked {' or '.join(rules)}, "
        + ("each task apart, " if several else "")
        + f"at the weights that a run ends with.{test if is_tested else ''}"
    )


def _ends(evidence: Evidence) -> str:
    ends: Counter[str] = Counter()
    for cell in evidence.ranking.cells:
        ends.update(cell.ends)
    metrics = sorted(set(evidence.ranking.metrics.values()))
    worst = " or ".join("accuracy 0" if m == ACCURACY else "an infinite loss" for m in metrics)
    sentences = []
    if lost := ends["diverged"] + ends["failed"]:
        sentences.append(
            f"{plural(lost, 'run')} diverged or failed and counted as {worst}: none was dropped."
        )
    if ends["interrupted"]:
        sentences.append(
            f"{plural(ends['interrupted'], 'run')} interrupted: counted, and not scored."
        )
    return " ".join(sentences)


def _missing(evidence: Evidence) -> str:
    states = Counter(run.state for sweep in evidence.sweeps for run in sweep.missing)
    if not states:
        return ""
    listed = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return (
        f"{plural(states.total(), 'planned run')} without a result ({listed}): in no cell, and in "
        "nothing below."
    )


def _factor_table(factors: dict[str, list[Any]]) -> Table:
    columns = (Column("option", "key"), Column("number", "number"), Column("values", "values"))
    rows = [(key, len(values), ", ".join(map(typed, values))) for key, values in factors.items()]
    caption = "Options that a sweep did not name, and that follow from the name of an optimizer, "
    caption += "a model or a task, are not counted."
    return Table("factors", "What varied", caption, columns, rows)


def _commands(evidence: Evidence) -> tuple[str, ...]:
    """Return what was typed, but for the folder."""
    lines = [shlex.join(["optlab", "sweep", *line]) for _, line in lines_of(evidence.sweeps)]
    return tuple(dict.fromkeys(lines))


def _held_table(held: dict[str, Any]) -> Table:
    columns = (Column("option", "key"), Column("value", "value"))
    rows = [(key, typed(value)) for key, value in held.items()]
    caption = "The same in every run. Where output went is left out: it changes no result."
    return Table("held", "What was held", caption, columns, rows, most=8)


def _held(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the options that are the same in every run."""
    first, *others = [record.options for record in records]
    return {
        key: value
        for key, value in first.items()
        if key.split(".")[0] not in OUTCOME_FREE and key != "plugins"
        if all(key in other and other[key] == value for other in others)
    }


def _values(records: Sequence[RunRecord], key: str) -> list[Any]:
    """Return the values of an option, numbers by size and all else in order of appearance."""
    found = {repr(r.options[key]): r.options[key] for r in records if key in r.options}
    values = list(found.values())
    numbers = [value for value in values if isinstance(value, int | float)]
    return sorted(numbers) if len(numbers) == len(values) else values
