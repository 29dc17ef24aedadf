"""Runs advanced by compiled programs, one run after another or on several threads at once.

A program computes one update of one run, and a run stays in a core's own caches while it is made:
rates do not depend on how many runs there are, and neither does any number of a run.
"""

import ctypes
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from optlab.compiler import NotCompiled
from optlab.tasks.base import Split
from optlab.train.functional import FunctionalRun
from optlab.train.native.function import LINE, Bound, Function, kernels, room_of, toolbox
from optlab.train.native.programs import Model, Update, update_of
from optlab.train.objective import rows_of_a_chunk
from optlab.train.parts import Parts, RuleChoice


class NotNative(NotCompiled):
    """These runs cannot be trained by compiled programs; the message says why."""


class _Run(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("gradient", "update")),
        *((name, ctypes.c_void_p) for name in ("gradient_given", "update_given", "x", "y")),
        *((name, ctypes.c_int64) for name in ("x_bytes", "y_bytes", "x_place", "y_place")),
        ("rows", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("batch", "steps")),
        ("factors", ctypes.c_void_p),
        ("lr", ctypes.c_double),
        ("lr_place", ctypes.c_void_p),
        ("values", ctypes.c_int64),
        ("value_place", ctypes.c_void_p),
        ("values_out", ctypes.c_void_p),
    ]


class Native:
    """A `Backend` of compiled programs on the CPU. See `optlab.train.stack.backend.Backend`.

    Args:
        parts: The runs.
        threads: Runs that are advanced at once; all cores that the process may use by default.

    Raises:
        NotNative: For runs on another device, under an optimizer without a rule or an engine that
            was asked for, for a module that cannot be recorded, and without a compiler.
    """

    execution = "native"

    def __init__(self, parts: Sequence[Parts], threads: int | None = None) -> None:
        self._threads = threads or len(os.sched_getaffinity(0))
        self._data = parts[0].data
        self._models = [_model(each) for each in parts]
        self._regularizers = [each.regularizer for each in parts]
        self.members = [_functional(each) for each in parts]
        rows, names = len(self._data.train), parts[0].objective.names
        self._programs = [
            _Program(member, model, regularizer, rows, len(names))
            for member, model, regularizer in zip(
                self.members, self._models, self._regularizers, strict=True
            )
        ]
        self._num_values = len(names)
        self._rooms = torch.zeros(0, dtype=torch.uint8)

    def advance(self, active: Sequence[int], rows: Tensor | None, factors: Tensor) -> Tensor:
        """Make K updates of each active run; see `Backend.advance`."""
        steps = factors.shape[1]
        values = torch.empty(len(active), steps, self._num_values, dtype=torch.float64)
        factors = factors.contiguous()
        train = self._data.train
        batch = len(train) if rows is None else rows.shape[2]
        rows = None if rows is None else rows.contiguous()
        quick: list[tuple[int, _Program]] = []
        slow: list[tuple[int, _Program]] = []
        for place, number in enumerate(active):
            program = self._programs[number]
            program.prepare(train, batch, rows is not None)
            (quick if program.is_whole else slow).append((place, program))
        room, size = self._room([program for _, program in (*quick, *slow)])
        runs = []
        for place, program in quick:
            each = program.run
            each.steps, each.values_out = steps, values[place].data_ptr()
            each.factors = factors[place].data_ptr()
            each.rows = None if rows is None else rows[place].data_ptr()
            runs.append(ctypes.addressof(each))
        if runs:
            pointers = (ctypes.c_void_p * len(runs))(*runs)
            arguments = (room.data_ptr(), size, toolbox(), self._threads)
            _train_all()(pointers, len(runs), *arguments)
        for place, program in slow:
            own = None if rows is None else rows[place]
            program.advance(train, own, factors[place].tolist(), values[place], room)
        return values

    def evaluate(self, active: Sequence[int], split: Split) -> Tensor:
        """Return the means over a split of each active run; see `Backend.evaluate`."""
        total = torch.zeros(len(active), self._num_values, dtype=torch.float64)
        size = rows_of_a_chunk(split.x)
        chunks = [torch.split(part, size) for part in (split.x, split.y)]
        for x, y in zip(*chunks, strict=True):
            total += self._values(active, x, y) * len(x)
        return total / len(split)

    def _values(self, active: Sequence[int], x: Tensor, y: Tensor) -> Tensor:
        values = torch.empty(len(active), self._num_values, dtype=torch.float64)
        functions = [self._models[number].evaluation(x, y) for number in active]
        room = room_of(max(f.room for f in functions) + LINE)
        for place, (number, function) in enumerate(zip(active, functions, strict=True)):
            member = self.members[number]
            with member.at_iterate():
                given = [*_state_of(member.module), x, y, *values[place].unbind()]
                Bound(function, given, room)()
        return values

    def _room(self, programs: Sequence["_Program"]) -> tuple[Tensor, int]:
        """Return memory for every thread, and the bytes of each."""
        most = max(program.room for program in programs)
        size = -(-most // LINE) * LINE + LINE
        if len(self._rooms) < size * self._threads:
            self._rooms = room_of(size * self._threads)
        return self._rooms, size


class _Program:
    """How one run is advanced: its functions and where their arguments lie."""

    def __init__(
        self,
        member: FunctionalRun,
        model: Model,
        regularizer: Any,
        num_rows: int,
        num_values: int,
    ) -> None:
        self.member, self.model = member, model
        self.values = torch.zeros(num_values, dtype=torch.float64)
        self.run = _Run(values=num_values, value_place=self.values.data_ptr(), lr=member.lr)
        self.update: Update | None = _update_or_none(member, regularizer, num_rows)
        self._bound_update: Bound | None = None
        if self.update is not None:
            self._set_update(self.update, regularizer)
        self._gradients: dict[tuple[int, bool], Function] = {}
        self._addresses: dict[Any, Any] = {}
        self._batch: tuple[int, bool] = (0, False)
        self.gradient: Function

    @property
    def is_whole(self) -> bool:
        """Whether updates are made in C alone."""
        return self.gradient.is_whole and self.update is not None and self.update.function.is_whole

    @property
    def room(self) -> int:
        """Bytes to work in."""
        update = 0 if self.update is None else self.update.function.room
        return max(self.gradient.room, update)

    def _set_update(self, update: Update, regularizer: Any) -> None:
        member = self.member
        sources = [member.hyper if hasattr(member.hyper, n) else regularizer for n in update.names]
        numbers = [float(getattr(s, n)) for s, n in zip(sources, update.names, strict=True)]
        self.numbers = torch.tensor(numbers, dtype=torch.float64)
        masks = [mask for mask in member.weights if isinstance(mask, Tensor)]
        states = [
            member.states[block][name]
            for block, entries in zip(member.blocks, update.entries, strict=True)
            for name in entries
        ]
        self.given = [*member.blocks, *member.grads, *masks, *states, *self.numbers.unbind()]
        self.given += update.function.held
        addresses = [tensor.data_ptr() for tensor in self.given]
        self._update_given = (ctypes.c_void_p * len(addresses))(*addresses)
        self.run.update_given = ctypes.addressof(self._update_given)
        self.run.lr_place = self.numbers.data_ptr()
        if update.function.is_whole:
            self.run.update = ctypes.cast(update.function.steps[0], ctypes.c_void_p).value

    def prepare(self, train: Split, batch: int, gathered: bool) -> None:
        """Choose the gradient for batches of a size."""
        key = (batch, gathered)
        if key == self._batch:
            return
        if key not in self._gradients:
            self._gradients[key] = _recorded(self.model, train.x[:batch], train.y[:batch], gathered)
            self._addresses[key] = self._arguments(self._gradients[key], train, gathered)
        self._batch, self.gradient = key, self._gradients[key]
        given, offsets = self._addresses[key][1], list(self.gradient.offsets.values())
        run = self.run
        run.gradient_given, run.batch = ctypes.addressof(given), batch
        run.x, run.y = train.x.data_ptr(), train.y.data_ptr()
        run.x_bytes, run.y_bytes = (t[0].numel() * t.element_size() for t in (train.x, train.y))
        if gathered:
            run.x_place, run.y_place = offsets
        if self.gradient.is_whole:
            run.gradient = ctypes.cast(self.gradient.steps[0], ctypes.c_void_p).value

    def _arguments(self, function: Function, train: Split, gathered: bool) -> Any:
        member = self.member
        grads = [p.grad for p in member.module.parameters() if p.grad is not None]
        batch = [] if gathered else [train.x, train.y]
        tensors = [*_state_of(member.module), *batch, *grads, *self.values.unbind()]
        addresses = [tensor.data_ptr() for tensor in (*tensors, *function.held)]
        return tensors, (ctypes.c_void_p * len(addresses))(*addresses)

    def advance(
        self,
        train: Split,
        rows: Tensor | None,
        factors: list[float],
        values: Tensor,
        room: Tensor,
    ) -> None:
        """Make updates of which PyTorch does a part."""
        gradient = Bound(self.gradient, self._addresses[self._batch][0], room)
        update = None if self.update is None else Bound(self.update.function, self.given, room)
        offsets, sources = self.gradient.offsets.values(), (train.x, train.y)
        places = [
            _in_room(room, offset, source, self._batch[0])
            for offset, source in zip(offsets, sources, strict=False)
        ]
        for step, factor in enumerate(factors):
            if rows is not None:
                for source, place in zip(sources, places, strict=True):
                    torch.index_select(source, 0, rows[step], out=place)
            with torch.no_grad():
                gradient()
                values[step] = self.values
                if update is None:
                    self.member.update(factor)
                else:
                    self.numbers[0] = self.member.lr * factor
                    update()


def _in_room(room: Tensor, offset: int, like: Tensor, batch: int) -> Tensor:
    shape = (batch, *like.shape[1:])
    size = like[0].numel() * batch * like.element_size()
    return room[offset : offset + size].view(like.dtype).view(shape)


def _functional(parts: Parts) -> FunctionalRun:
    run = parts.run()
    assert isinstance(run, FunctionalRun)
    return run


def _model(parts: Parts) -> Model:
    """Return what is compiled for a run's module."""
    chosen = parts.optimizer
    if not isinstance(chosen, RuleChoice):
        raise NotNative("an optimizer of others updates its parameters itself")
    if parts.trainer.engine == "plain":
        raise NotNative("trainer.engine=plain asks for an optimizer object")
    kinds = {t.device.type for t in (*parts.module.parameters(), parts.data.train.x)}
    if kinds != {"cpu"}:
        raise NotNative(f"compiled programs are for the CPU, the run is on {', '.join(kinds)}")
    return Model(
        f"{parts.structure}/{_hidden_tensors(parts.module)}", parts.module, parts.objective
    )


def _hidden_tensors(module: nn.Module) -> str:
    """Return a mark of the tensors of a module that are neither parameters nor buffers.

    They become a part of its program.
    """
    digest = hashlib.sha256()
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor):
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _recorded(model: Model, x: Tensor, y: Tensor, gathered: bool) -> Function:
    try:
        return model.gradient(x, y, gathered)
    except Exception as error:
        raise NotNative(f"the model cannot be recorded: {type(error).__name__}: {error}") from error


def _update_or_none(member: FunctionalRun, regularizer: Any, num_rows: int) -> Update | None:
    """Return the compiled update, or None for a rule that PyTorch has to run."""
    try:
        update = update_of(member, regularizer, num_rows)
    except Exception:
        return None
    return update if update.function.is_whole else None


def _state_of(module: nn.Module) -> list[Tensor]:
    return [*(p.detach() for p in module.parameters()), *module.buffers()]


def _train_all() -> Any:
    function = kernels().train_all
    function.restype = None
    function.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_void_p,
        *[ctypes.c_int64] * 1,
        ctypes.c_void_p,
        ctypes.c_int64,
    ]
    return function
