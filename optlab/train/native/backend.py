"""Runs advanced by compiled programs, one run after another or on several threads at once.

A program computes one update of one run, and a run stays in a core's own caches while it is made:
rates do not depend on how many runs there are, and neither does any number of a run.
"""

import ctypes
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NotCompiled
from optlab.environment import usable_cores
from optlab.tasks.base import Split
from optlab.train.functional import FunctionalRun
from optlab.train.measurements import flow_rows
from optlab.train.native.flow_look import FlowLook, flow_looks
from optlab.train.native.function import LINE, kernels, room_of, toolbox
from optlab.train.native.modules import built_in
from optlab.train.native.programs import Model
from optlab.train.native.run import Arguments, NativeRun, NotNative
from optlab.train.objective import rows_of_a_chunk
from optlab.train.parts import Parts, RuleChoice


class Native:
    """A `Backend` of compiled programs on the CPU. See `optlab.train.stack.backend.Backend`.

    Args:
        parts: The runs.
        threads: Runs that are advanced at once; by default as many as the process has cores.

    Attributes:
        looks: What looks at the flow of each run's gradients, if somebody is going to.

    Raises:
        NotNative: For runs on another device, under an optimizer without a rule or an engine that
            was asked for, or for a module that cannot be recorded.
        NoCompiler: Where nothing can be compiled.
    """

    execution = "native"

    def __init__(self, parts: Sequence[Parts], threads: int | None = None) -> None:
        models = [_model(each) for each in parts]
        kernels()  # a machine without a compiler is better known now than in the midst of it
        self._threads = threads or usable_cores()
        self._num_values = len(parts[0].objective.names)
        self._rooms = torch.zeros(0, dtype=torch.uint8)
        self.members = [_functional(each) for each in parts]
        self._runs = [
            NativeRun(member, model, each.regularizer, each.data.train)
            for member, model, each in zip(self.members, models, parts, strict=True)
        ]
        sampler = parts[0].sampler
        is_full = sampler.batch_size >= sampler.num_rows and sampler.order != "replacement"
        for run in self._runs:
            run.prepare(min(sampler.batch_size, sampler.num_rows), not is_full)
        for run, each in zip(self._runs, parts, strict=True):
            run.evaluation(*_chunks(each.data.val)[0])  # what refuses it should do so now
        self.looks: list[FlowLook | None] = []
        if parts[0].diagnostics.flow_every:
            modules = [member.module for member in self.members]
            self.looks = flow_looks(models, modules, *flow_rows(parts[0].data.train))
        for run in self._runs:
            run.settle()

    def advance(self, active: Sequence[int], rows: Tensor | None, factors: Tensor) -> Tensor:
        """Make K updates of each active run; see `Backend.advance`."""
        steps = factors.shape[1]
        values = torch.empty(len(active), steps, self._num_values, dtype=torch.float64)
        factors = factors.contiguous()
        rows = None if rows is None else rows.contiguous()
        quick: list[int] = []
        runs = [self._runs[number] for number in active]
        for run in runs:
            run.prepare(self._num_rows if rows is None else rows.shape[2], rows is not None)
        for place, run in enumerate(runs):
            if run.is_whole:
                run.settle()
                c = run.c
                c.steps, c.values_out = steps, values[place].data_ptr()
                c.factors = factors[place].data_ptr()
                c.rows = None if rows is None else rows[place].data_ptr()
                quick.append(ctypes.addressof(c))
        room = self._room(max(run.room for run in runs))
        if quick:
            pointers = (ctypes.c_void_p * len(quick))(*quick)
            _call("train_all", pointers, len(quick), *room, toolbox(), self._threads)
        for place, run in enumerate(runs):
            if not run.is_whole:
                own = None if rows is None else rows[place]
                with torch.no_grad():
                    run.advance(own, factors[place].tolist(), values[place], self._rooms)
        return values

    @property
    def _num_rows(self) -> int:
        return len(self._runs[0].train)

    def evaluate(self, active: Sequence[int], split: Split) -> Tensor:
        """Return the means over a split of each active run; see `Backend.evaluate`."""
        total = torch.zeros(len(active), self._num_values, dtype=torch.float64)
        with ExitStack() as stack, torch.no_grad():
            for number in active:
                if self.members[number].rule.iterate is not None:
                    stack.enter_context(self.members[number].at_iterate())
            for x, y in _chunks(split):
                total += self._values(active, x, y) * len(x)
        return total / len(split)

    def _values(self, active: Sequence[int], x: Tensor, y: Tensor) -> Tensor:
        found = [self._runs[number].evaluation(x, y) for number in active]
        alike: defaultdict[int, list[Arguments]] = defaultdict(list)
        for arguments, _ in found:
            alike[id(arguments.function)].append(arguments)
        room = self._room(max(arguments.function.room for arguments, _ in found))
        for group in alike.values():
            function = group[0].function
            if function.is_whole:
                addresses = [ctypes.addressof(each.addresses) for each in group]
                given = (ctypes.c_void_p * len(addresses))(*addresses)
                rest = (given, len(addresses), *room, toolbox(), self._threads)
                _call("call_all", function.address, *rest)
            else:
                for each in group:
                    each.bound(self._rooms)()
        return torch.stack([values for _, values in found])

    def _room(self, most: int) -> tuple[int, int]:
        """Return the address of memory to work in for every thread, and the bytes of each."""
        size = -(-most // LINE) * LINE + LINE
        if len(self._rooms) < size * self._threads:
            self._rooms = room_of(size * self._threads)
        return self._rooms.data_ptr(), len(self._rooms) // self._threads // LINE * LINE


def _chunks(split: Split) -> list[tuple[Tensor, Tensor]]:
    size = rows_of_a_chunk(split.x)
    return list(zip(torch.split(split.x, size), torch.split(split.y, size), strict=True))


def _functional(parts: Parts) -> FunctionalRun:
    run = parts.run()
    assert isinstance(run, FunctionalRun)
    return run


def _model(parts: Parts) -> Model:
    """Return what is compiled for a run's module."""
    if not isinstance(parts.optimizer, RuleChoice):
        raise NotNative("an optimizer of others updates its parameters itself")
    if parts.trainer.engine not in ("auto", "native"):
        raise NotNative(f"trainer.engine={parts.trainer.engine} asks for another engine")
    kinds = {t.device.type for t in (*parts.module.parameters(), parts.data.train.x)}
    if kinds != {"cpu"}:
        raise NotNative(f"compiled programs are for the CPU, the run is on {', '.join(kinds)}")
    try:
        own = built_in(parts.module)
    except NotCompiled as reason:
        raise NotNative(str(reason)) from reason
    return Model(f"{parts.structure}/{own}", parts.module, parts.objective)


_SIGNATURES: dict[str, list[Any]] = {
    "train_all": [ctypes.c_void_p, ctypes.c_int64],
    "call_all": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64],
}


def _call(name: str, *arguments: Any) -> None:
    """Call a loop over runs of ``kernels.c``: its runs, then rooms, their size, tools, threads."""
    function = getattr(kernels(), name)
    rest = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    function.restype, function.argtypes = None, [*_SIGNATURES[name], *rest]
    function(*arguments)
