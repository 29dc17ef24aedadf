"""Whether what varied beside the optimizer varied alike for every optimizer.

A schedule that every optimizer ran with is a subject of the comparison. One that only some ran with
is an advantage of theirs.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from optlab.report.cells import BATCH_SIZE, sets_apart
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import MOST_NAMED, OWN_BATCHES, SAMPLER, Key, on, tried
from optlab.report.lint.lines import (
    Line,
    as_word,
    changed,
    choice_of,
    extend,
    given,
    optimizers_in,
)
from optlab.report.lint.whole import whole_lines
from optlab.report.page import Objection
from optlab.report.phrases import show
from optlab.report.sections.arrange import listed

#: Options that a sentence tells of.
MOST_TOLD = 2


class _Kind(NamedTuple):
    """Options that matter for the same reason: keys, or sections that end with a dot."""

    name: str
    keys: tuple[str, ...]
    what: str
    why: str


KINDS = (
    _Kind("unequal_tasks", ("task.",), "Tasks differ", "no task compares them all"),
    _Kind(
        "unequal_schedules",
        ("schedule.",),
        "Schedules differ",
        "a better schedule looks like a better optimizer",
    ),
    _Kind(
        "unequal_data_order",
        (BATCH_SIZE, SAMPLER),
        "Batches differ",
        "the order of the data and the number of updates then do, too",
    ),
    _Kind(
        "unequal_training",
        ("trainer.epochs", "trainer.patience", "trainer.min_delta", "trainer.restore_best"),
        "Lengths of training differ",
        "who trains longer looks better",
    ),
    _Kind(
        "unequal_cadence",
        ("trainer.eval_every", "trainer.log_every", "diagnostics."),
        "Cadences of evaluation or logging differ",
        "low values and targets are then seen at other moments, and times differ",
    ),
    _Kind(
        "unequal_arithmetic",
        ("trainer.dtype", "trainer.engine", "trainer.threads"),
        "Arithmetic differs",
        "results differ in rounding, and times in speed",
    ),
    _Kind("unequal_options", ("",), "Options differ", "the option may make the difference"),
)


class Unequal(NamedTuple):
    """An option whose values differ between optimizers.

    Attributes:
        name: Its key.
        group: Where, "" for tasks themselves.
        values: Its values by optimizer.
    """

    name: str
    group: str
    values: Mapping[str, Sequence[Any]]


def confounded(evidence: Evidence) -> list[Objection]:
    """Object to each kind of option whose values are not the same for all optimizers."""
    compared = {name: keys for name, keys in _compared(evidence).items() if keys}
    found = [one for name, keys in compared.items() for one in unequal(name, keys)]
    objections = []
    for kind in KINDS:
        own = {one.name: one for one in reversed(found) if _kind_of(one.name) is kind}
        if own:
            told = _sentence(kind, list(own.values())[::-1])
            objections.append(Objection(kind.name, told, _command(evidence, list(own.values()))))
    return objections


def unequal(group: str, keys: Mapping[str, Sequence[Key]]) -> list[Unequal]:
    """Return the options whose values differ between optimizers, the optimizers' own left out.

    Args:
        group: Name of what is compared.
        keys: Keys of its cells by optimizer.
    """
    names = next(iter(keys.values()))[0]
    found = [
        Unequal(name, group, _by_optimizer(keys, name))
        for name in names
        if not name.startswith("optimizer.")
    ]
    return [one for one in found if len({frozenset(map(show, v)) for v in one.values.values()}) > 1]


def _compared(evidence: Evidence) -> dict[str, Mapping[str, Sequence[Key]]]:
    """Return the keys of each group by optimizer; under "" only what sets groups apart, of all."""
    metrics = evidence.ranking.metrics
    apart = [n for n in evidence.ranking.keys if any(sets_apart(n, m) for m in metrics.values())]
    tasks: dict[str, list[Key]] = defaultdict(list)
    found: dict[str, Mapping[str, Sequence[Key]]] = {}
    for group in evidence.ranking.ranked:
        own = tried(evidence, group)
        for optimizer, keys in own.items():
            tasks[optimizer] += [{name: key[name] for name in apart} for key in keys]
        found[group] = own
    return {"": tasks} | found if apart else found


def _by_optimizer(keys: Mapping[str, Sequence[Key]], name: str) -> dict[str, list[Any]]:
    """Return the values of an option by optimizer, of those whose value is not their own."""
    is_batch = name in (BATCH_SIZE, SAMPLER)
    return {
        optimizer: list({show(key[name]): key[name] for key in own}.values())
        for optimizer, own in keys.items()
        if not (is_batch and optimizer in OWN_BATCHES)
    }


def _kind_of(name: str) -> _Kind:
    return next(
        kind
        for kind in KINDS
        if any(name == key or (key.endswith(".") and name.startswith(key)) for key in kind.keys)
        or kind is KINDS[-1]
    )


def _sentence(kind: _Kind, found: Sequence[Unequal]) -> str:
    told = [_told(one) for one in found[:MOST_TOLD]]
    more = [f"{len(found) - MOST_TOLD} more options"] if len(found) > MOST_TOLD else []
    return (
        f"{kind.what} between optimizers{on(found[0].group)}: {'; '.join([*told, *more])}. "
        f"{kind.why[0].upper()}{kind.why[1:]}."
    )


def _told(one: Unequal) -> str:
    """Return ``schedule constant with adam and nag, cosine with lion``."""
    having: dict[str, list[str]] = defaultdict(list)
    for optimizer, values in one.values.items():
        having[listed(sorted(map(show, values)), MOST_NAMED)].append(optimizer)
    with_each = [f"{values} with {listed(names, MOST_NAMED)}" for values, names in having.items()]
    return f"{one.name.removesuffix('.name')} {', '.join(with_each)}"


def _command(evidence: Evidence, found: Sequence[Unequal]) -> str:
    """Return what trains every optimizer with all values, or nothing where no line can say so."""
    changes = _changes(found)
    lines: list[tuple[Path, Line]] = []
    for folder, line in whole_lines(evidence) if changes else []:
        if any("," in (given(line, name.partition(".")[0]) or "") for name in changes):
            return ""  # what is chosen and what is given in its place would be crossed
        narrowed = _without_own_batches(evidence, line, changes)
        if narrowed is not None:
            lines.append((folder, changed(narrowed, changes)))
    return extend(lines)


def _changes(found: Sequence[Unequal]) -> dict[str, str]:
    """Return the words of all values; of a choice's options those that come with it are enough."""
    chosen = {one.name.partition(".")[0] for one in found if one.name.endswith(".name")}
    changes: dict[str, str] = {}
    for one in found:
        section, _, option = one.name.partition(".")
        values = [value for own in one.values.values() for value in own]
        if option == "name":
            changes[section] = ",".join(dict.fromkeys(map(as_word, values)))
        elif None in values and section not in ("trainer", "regularizer", "transform"):
            return {}  # some choice has no such option
        elif section not in chosen:
            changes[one.name] = ",".join(dict.fromkeys(map(as_word, values)))
    return changes


def _without_own_batches(evidence: Evidence, line: Line, changes: Mapping[str, str]) -> Line | None:
    """Leave out, where batches are changed, the optimizers that are called by theirs."""
    trained = optimizers_in(line, {cell.optimizer for cell in evidence.ranking.cells})
    kept = trained - set(OWN_BATCHES)
    if kept == trained or not {BATCH_SIZE, SAMPLER} & set(changes):
        return line
    return changed(line, {"optimizer": ",".join(sorted(map(choice_of, kept)))}) if kept else None
