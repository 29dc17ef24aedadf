"""Whether every optimizer had as many tries, and as much work in each."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from optlab.report.cells import BATCH_SIZE, LEARNING_RATE, identity
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import MOST_NAMED, OWN_BATCHES, SAMPLER, Key, compared, on, tried
from optlab.report.lint.crossing import unequal
from optlab.report.lint.lines import changed, choice_of, extend, given, is_searched, optimizers_in
from optlab.report.lint.whole import TRIALS, whole_lines
from optlab.report.page import Objection
from optlab.report.phrases import NAMING
from optlab.report.sections.arrange import listed

#: Differences of work below this share are those of a last batch.
TOLERANCE = 0.02


class _Budget(NamedTuple):
    """What was tried for an optimizer.

    Attributes:
        settings: How many combinations of all options.
        own: How many combinations of its own options.
        rates: Learning rates among them.
        tuned: Its own options that vary.
    """

    settings: int
    own: int
    rates: tuple[float, ...]
    tuned: tuple[str, ...]


def unequal_budgets(evidence: Evidence) -> list[Objection]:
    """Object where more settings were tried for one optimizer than for another.

    Settings that differ in nothing but what only some optimizers ran with count once: that is an
    objection of its own.
    """
    budgets = {group: _budgets(group, tried(evidence, group)) for group in compared(evidence)}
    found = {g: own for g, own in budgets.items() if len({b.settings for b in own.values()}) > 1}
    if not found:
        return []
    own = next(iter(found.values()))
    counts = sorted({budget.settings for budget in own.values()}, reverse=True)
    told = [_told(own, count) for count in counts]
    if len(told) > MOST_NAMED:
        told = [told[0], f"down to {told[-1]}"]
    sentence = (
        f"Tuning budgets differ{on(*found)}: {', '.join(told)}. The best of more "
        "tries is better by chance alone."
    )
    return [Objection("unequal_budgets", sentence, _command(evidence, own))]


def unequal_gradients(evidence: Evidence) -> list[Objection]:
    """Object where an optimizer takes more gradients of rows for an epoch than another."""
    for group, cells in compared(evidence).items():
        work = {
            name: [
                run.result.row_gradients / run.result.epochs
                for run in evidence.runs[identity(cell.key)]
                if run.result.row_gradients and run.result.epochs
            ]
            for name, cell in cells.items()
        }
        means = {name: float(np.median(own)) for name, own in work.items() if own}
        if means and max(means.values()) > (1 + TOLERANCE) * min(means.values()):
            most, least = (choose(means, key=lambda n: means[n]) for choose in (max, min))
            sentence = (
                f"Work differs{on(group)}: {most} takes {means[most] / means[least]:.2g} times "
                f"the gradients of {least} for an epoch. Compare their curves by gradient "
                "evaluations, or give it fewer epochs."
            )
            return [Objection("unequal_gradients", sentence)]
    return []


def _budgets(group: str, keys: Mapping[str, Sequence[Key]]) -> dict[str, _Budget]:
    left_out = {one.name for one in unequal(group, keys)}
    if set(OWN_BATCHES) & set(keys):
        left_out |= {BATCH_SIZE, SAMPLER}  # sizes of others are none of theirs
    return {optimizer: _budget(own, left_out) for optimizer, own in keys.items()}


def _budget(keys: Sequence[Key], left_out: set[str]) -> _Budget:
    names = [name for name in keys[0] if name not in left_out]
    own = [name for name in names if name.startswith("optimizer.") and name not in NAMING]
    tuned = [name for name in own if _count(keys, [name]) > 1]
    rates = {key.get(LEARNING_RATE) for key in keys}
    return _Budget(
        _count(keys, names),
        _count(keys, own),
        tuple(sorted(float(rate) for rate in rates if isinstance(rate, int | float))),
        tuple(name.rpartition(".")[2] for name in tuned),
    )


def _count(keys: Sequence[Key], names: Sequence[str]) -> int:
    """Return how many combinations of some options there are."""
    return len({identity({name: key[name] for name in names}) for key in keys})


def _told(budgets: Mapping[str, _Budget], count: int) -> str:
    """Return ``8 settings of lr and momentum for nag``."""
    names = [name for name, budget in budgets.items() if budget.settings == count]
    tuned = budgets[names[0]].tuned
    what = f" of {listed(tuned, MOST_NAMED)}" if tuned else ""
    return f"{count} setting{'s' if count > 1 else ''}{what} for {listed(names, MOST_NAMED)}"


def _command(evidence: Evidence, budgets: Mapping[str, _Budget]) -> str:
    """Return what tries more rates with those that had fewer settings; nothing if none add up."""
    most = max(budget.settings for budget in budgets.values())
    own = max(budget.own for budget in budgets.values())
    others = {rate for budget in budgets.values() for rate in budget.rates}
    lines = whole_lines(evidence)
    wanted: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for optimizer, budget in budgets.items():
        places = [
            i for i, (_, line) in enumerate(lines) if optimizer in optimizers_in(line, budgets)
        ]
        if budget.settings == most or not places:
            continue
        line = lines[places[0]][1]
        key, value = (
            _more_trials(given(line, TRIALS), budget.settings, most)
            if is_searched(line)
            else _more_rates(budget, own, others)
        )
        if not value:
            return ""
        wanted[places[0], key, value].append(choice_of(optimizer))
    return extend(
        (lines[i][0], changed(lines[i][1], {"optimizer": ",".join(names), key: value}))
        for (i, key, value), names in wanted.items()
    )


def _more_trials(trials: str | None, had: int, most: int) -> tuple[str, str]:
    """Return the trials of a search that make up for it; fewer are the first of more."""
    wanted = most * int(trials) / had if trials and trials.isdigit() else math.nan
    return TRIALS, str(int(wanted)) if wanted.is_integer() else ""


def _more_rates(budget: _Budget, most: int, others: set[float]) -> tuple[str, str]:
    """Return the rates that make up for it: those of others first, then between its own."""
    wanted = most * len(budget.rates) / budget.own
    if not budget.rates or not wanted.is_integer():
        return LEARNING_RATE, ""
    rates = list(budget.rates)
    for rate in sorted(others, key=lambda rate: _distance(rate, budget.rates)):
        if rate not in rates and len(rates) < wanted:
            rates.append(rate)
    while len(rates) < wanted:
        rates.append(_between(sorted(rates)))
    return LEARNING_RATE, ",".join(f"{rate:g}" for rate in sorted(rates))


def _distance(rate: float, rates: Sequence[float]) -> float:
    """Return how far a rate lies from the nearest of some, in factors; without ends for 0."""
    own = [abs(math.log(rate / other)) for other in rates if rate > 0 and other > 0]
    return min(own, default=math.inf)


def _between(rates: Sequence[float]) -> float:
    """Return a rate in the widest gap, or beyond the only one."""
    if len(rates) < 2 or rates[0] <= 0:
        return rates[-1] * 10
    gaps = [high / low for low, high in pairwise(rates)]
    place = gaps.index(max(gaps))
    return float(f"{math.sqrt(rates[place] * rates[place + 1]):.2g}")
