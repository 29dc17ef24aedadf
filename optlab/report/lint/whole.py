"""The lines of sweeps that grew, as few lines that say all of it.

A sweep that was extended has several lines, and each of them alone a part of its grid. What mends
it has to reach every part, and would otherwise leave it in more lines than before.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from optlab.records import RunRecord
from optlab.report.cells import BATCH_SIZE, LEARNING_RATE
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import OWN_BATCHES, SAMPLER
from optlab.report.lint.lines import (
    Line,
    as_seeds,
    as_word,
    changed,
    choice_of,
    given,
    is_searched,
    keys_of,
    lines_of,
    optimizers_in,
)
from optlab.report.phrases import optimizer_name

SEED, OPTIMIZER, TRIALS = "seed", "optimizer", "sweep.trials"


def whole_lines(evidence: Evidence) -> list[tuple[Path, Line]]:
    """Return lines that together train what every sweep has, each with the sweep's folder.

    Of lines that share optimizers, one says the values of all; of searches only those that differ
    in seeds and trials, as what they draw is on no list. A stage of a protocol has no line: what it
    trains was not typed.
    """
    parts: dict[Path, list[Line]] = defaultdict(list)
    for folder, line in lines_of(evidence.sweeps):
        parts[folder].append(line)
    found: list[tuple[Path, Line]] = []
    for folder, lines in parts.items():
        own = [run for runs in evidence.runs.values() for run in runs]
        own = [run for run in own if run.folder.is_relative_to(folder)]
        if _say_all(lines, own):
            found += [(folder, line) for line in _whole(lines, own)]
    return found


def _say_all(lines: Sequence[Line], runs: Sequence[RunRecord]) -> bool:
    """Say whether seeds and rates of runs come from lines, and not from elsewhere."""
    keys = {key for line in lines for key in keys_of(line)}
    rates: dict[str, set[float]] = defaultdict(set)
    for run in runs:
        rates[optimizer_name(run.options)].add(run.options.get(LEARNING_RATE, 0.0))
    is_typed = {
        SEED: all(run.result.seed in (0, None) for run in runs),
        LEARNING_RATE: all(len(own) == 1 for own in rates.values()),
    }
    return "experiment" in keys or all(key in keys or default for key, default in is_typed.items())


def _whole(lines: Sequence[Line], runs: Sequence[RunRecord]) -> list[Line]:
    if any(map(is_searched, lines)):
        return _whole_searches(lines, runs)
    if len(lines) == 1:
        return list(lines)
    known = {optimizer_name(run.options) for run in runs}
    found: list[Line] = []
    covered: set[str] = set()
    apart = _apart(lines, known)
    for line in apart:
        own = optimizers_in(line, known)
        if own - covered:
            covered |= own
            alike = [each for each in apart if optimizers_in(each, known) & own]
            members = [run for run in runs if optimizer_name(run.options) in own]
            found.append(_joined(line, alike, members))
    return found


def _whole_searches(lines: Sequence[Line], runs: Sequence[RunRecord]) -> list[Line]:
    """Return one of the lines that draw the same, with all seeds and the most trials of them."""
    known = {optimizer_name(run.options) for run in runs}
    alike: dict[frozenset[str], list[Line]] = defaultdict(list)
    for line in lines:
        alike[frozenset(_drawing(line))].append(line)
    return [_widest(own, known, runs) for own in alike.values()]


def _drawing(line: Line) -> list[str]:
    """Return a line without what adds runs to a search and changes none of its draws."""
    return [word for word in line if word.partition("=")[0] not in (SEED, TRIALS)]


def _widest(alike: Sequence[Line], known: set[str], runs: Sequence[RunRecord]) -> Line:
    own = optimizers_in(alike[0], known)
    members = [run for run in runs if optimizer_name(run.options) in own]
    changes = {}
    if len({given(line, SEED) for line in alike}) > 1:
        changes[SEED] = _values(SEED, members)
    trials = {given(line, TRIALS) or "" for line in alike}
    if len(trials) > 1:  # fewer are the first of more
        changes[TRIALS] = max(trials, key=lambda word: int(word) if word.isdigit() else 0)
    return changed(alike[0], {key: value for key, value in changes.items() if value})


def _apart(lines: Sequence[Line], known: set[str]) -> list[Line]:
    """Set optimizers that are called by their batches apart, where some line says of batches."""
    if not any({BATCH_SIZE, SAMPLER} & set(keys_of(line)) for line in lines):
        return list(lines)
    found: list[Line] = []
    for line in lines:
        own = optimizers_in(line, known)
        parts = [part for part in (own & set(OWN_BATCHES), own - set(OWN_BATCHES)) if part]
        found += [
            changed(line, {OPTIMIZER: ",".join(sorted(map(choice_of, part)))}) for part in parts
        ]
    return found


def _joined(line: Line, alike: Sequence[Line], runs: Sequence[RunRecord]) -> Line:
    """Return a line with all values of what lines that are like it say differently."""
    keys = dict.fromkeys(key for each in alike for key in keys_of(each))
    split = [key for key in keys if len({given(each, key) for each in alike}) > 1]
    joined = {key: _values(key, runs) for key in split if key != OPTIMIZER}
    return changed(line, {key: values for key, values in joined.items() if values})


def _values(key: str, runs: Sequence[RunRecord]) -> str:
    """Return the values that runs have at a word's key, nothing where it is no option of theirs."""
    if key == SEED:
        return as_seeds({run.result.seed for run in runs if run.result.seed is not None})
    options = [run.options for run in runs]
    name = next((name for name in (key, f"{key}.name") if any(name in o for o in options)), key)
    return ",".join(dict.fromkeys(as_word(each[name]) for each in options if name in each))
