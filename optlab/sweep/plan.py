"""From the runs of a sweep to the programs that train them. Importing it imports no torch."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from optlab.config import ConfigError
from optlab.identity import config_hash
from optlab.records import differing
from optlab.sweep.axis import OF_A_RUN, refusal, splitting
from optlab.sweep.cause import RUN_ERRORS, cause_of
from optlab.sweep.engine import Choice, Wanted, choose
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Footprint, Plan, Program, array_sizes

#: Runs of an array at most, whatever the memory of the device: each also takes some 40 KiB of the
#: machine's, and none has its result before the last. Compiled programs train one run after another
#: on each core, so that more of them are no quicker.
MOST_RUNS = {"native": 1000, "compiled": 8192, "eager": 8192}


class Group(NamedTuple):
    """Runs that may be one program, in order of number, and what sets it apart from the others."""

    runs: tuple[PlannedRun, ...]
    apart: dict[str, Any]


def plan(
    runs: Sequence[PlannedRun],
    engine: Wanted = "auto",
    workers: int = 1,
    budget: int | None = None,
) -> Plan:
    """Return how runs are trained: which together, by what, and how many at once.

    Args:
        runs: In any order.
        engine: ``sweep.engine``.
        workers: Processes that will take arrays; there are as many arrays, where runs suffice.
        budget: Bytes of memory for an array; None takes a share of what is free.

    Raises:
        ConfigError: For a configuration that cannot be used, or an engine that cannot be had.
    """
    groups = grouped(runs)
    shares = [-(-workers * len(group.runs) // len(runs)) for group in groups]
    programs = (
        _program(number, group, engine, workers, share, budget)
        for number, (group, share) in enumerate(zip(groups, shares, strict=True), start=1)
    )
    return Plan(tuple(programs))


def grouped(runs: Sequence[PlannedRun]) -> list[Group]:
    """Divide runs by what a program cannot have two of, in order of their numbers."""
    forms = _Forms()
    members: dict[Hashable, list[PlannedRun]] = {}
    for run in sorted(runs, key=lambda run: run.number):
        members.setdefault(forms.key(run.config), []).append(run)
    apart = forms.apart([group[0].config for group in members.values()])
    return [Group(tuple(g), a) for g, a in zip(members.values(), apart, strict=True)]


class _Forms:
    """What sections of configurations say to a program, read once for all runs that share it.

    A sweep's sections take few different values, and `repr` is the quick way to tell them apart;
    two that mean the same although they are written otherwise are one by their canonical hash.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}

    def key(self, config: Mapping[str, Any]) -> Hashable:
        """Return what is equal for the runs of one program, and for these alone."""
        names = (name for name in config if name not in OF_A_RUN or name == "optimizer")
        return frozenset((name, self._form(name, config[name])[0]) for name in names)

    def apart(self, configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the options in which configurations of several programs differ, for each."""
        found: list[dict[str, Any]] = [{} for _ in configs]
        for name in dict.fromkeys(name for config in configs for name in config):
            forms = [self._form(name, config.get(name)) for config in configs]
            keys = differing(list(dict(forms).values()))
            for own, (_, options) in zip(found, forms, strict=True):
                own.update({key: options[key] for key in keys if key in options})
        return found

    def _form(self, name: str, value: Any) -> tuple[str, dict[str, Any]]:
        """Return the hash of a section's part in a program, and that part."""
        written = (name, repr(value))
        if written not in self._read:
            options = splitting(name, value)
            self._read[written] = config_hash(options, ()), options
        return self._read[written]


def _program(
    number: int, group: Group, engine: Wanted, workers: int, share: int, budget: int | None
) -> Program:
    runs, num_runs = group.runs, len(group.runs)
    alone = Program(number, runs, "single", group.apart, (1,) * num_runs)
    refused = refusal(runs[0].config) or ("sweep.engine=single" if engine == "single" else "")
    if refused:
        return alone.singly(refused)
    found = _measured(runs, engine, workers)
    alone = replace(alone, updates=found.updates)
    if found.footprint is None:
        return alone.singly(found.choice.reason)
    most = found.footprint.most(found.budget if budget is None else budget)
    most = min(most, MOST_RUNS[found.choice.engine])
    arrays = array_sizes(num_runs, most, share)
    return replace(alone, engine=found.choice.engine, arrays=arrays, footprint=found.footprint)


class _Measured(NamedTuple):
    """What trains runs; their memory, the budget of a worker and updates, as far as known."""

    choice: Choice
    footprint: Footprint | None = None
    budget: int = 0
    updates: int | None = None


def _measured(runs: Sequence[PlannedRun], wanted: Wanted, workers: int) -> _Measured:
    from optlab.build import resolve_device
    from optlab.sweep.memory import budget, measure
    from optlab.sweep.trial import refusal_of_native
    from optlab.train.stack.vmapped import NotStackable

    device = resolve_device(runs[0].config["device"])
    at_once = device.type == "cuda" or wanted in ("compiled", "eager")
    try:
        footprint, updates = measure(runs, at_once)
        choice = choose(wanted, device.type, updates)
        if choice.engine == "native" and (refused := refusal_of_native(runs[0])):
            choice = Choice("single", refused)
    except NotStackable as error:
        return _Measured(Choice("single", str(error)))
    except ConfigError:
        raise
    except RUN_ERRORS as error:  # of a plugin's own code: each run fails for itself, and says so
        return _Measured(Choice("single", f"measuring one failed: {cause_of(error)}"))
    if choice.engine == "single":
        return _Measured(choice, updates=updates)
    return _Measured(choice, footprint, budget(device, at_once, workers), updates)
