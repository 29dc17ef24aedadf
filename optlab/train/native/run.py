"""One run of a stack as addresses: which functions advance it, and where their arguments lie."""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

from optlab.compiler import NoCompiler, NotCompiled
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Split
from optlab.train.functional import FunctionalRun
from optlab.train.native.function import Bound, Function
from optlab.train.native.programs import Model, Update, update_of


class NotNative(NotCompiled):
    """These runs cannot be trained by compiled programs; the message says why."""


class CRun(ctypes.Structure):
    """What C knows of a run; see ``run`` in ``kernels.c``."""

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


class Arguments:
    """Tensors that a function is called with, and their addresses for C.

    Raises:
        NotNative: When one of them does not lie in order in memory.
    """

    def __init__(self, function: Function, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if not tensor.is_contiguous():
                form = f"shape {tuple(tensor.shape)} has strides {tensor.stride()}"
                raise NotNative(f"a tensor of {form}; make it contiguous()")
        self.function, self._tensors = function, tensors
        addresses = [tensor.data_ptr() for tensor in (*tensors, *function.held)]
        self.addresses = (ctypes.c_void_p * max(len(addresses), 1))(*addresses)
        self._bound: tuple[int, Bound] | None = None

    def bound(self, room: Tensor) -> Bound:
        """Return the function to be called from Python, working in ``room``."""
        if self._bound is None or self._bound[0] != room.data_ptr():
            self._bound = room.data_ptr(), Bound(self.function, self._tensors, room)
        return self._bound[1]


class NativeRun:
    """A run's programs.

    Args:
        member: The run, which owns its memory.
        model: What its gradient is made of.
        regularizer: What is done to gradients before the rule.
        train: Training rows.

    Attributes:
        member: The run.
        c: What C knows of it.
        train: Training rows.
        values: Of the last batch, in the order of ``objective.names``.

    Raises:
        NoCompiler: Where nothing can be compiled.
    """

    def __init__(
        self, member: FunctionalRun, model: Model, regularizer: Regularizer, train: Split
    ) -> None:
        train = Split(train.x.contiguous(), train.y.contiguous())
        self.member, self._model, self.train = member, model, train
        self.values = torch.zeros(len(member.objective.names), dtype=torch.float64)
        self.c = CRun(
            values=len(self.values),
            value_place=self.values.data_ptr(),
            lr=member.lr,
            x=train.x.data_ptr(),
            y=train.y.data_ptr(),
            x_bytes=_row_bytes(train.x),
            y_bytes=_row_bytes(train.y),
        )
        self._update: Arguments | None = None
        update = _update_or_none(member, regularizer, len(train))
        if update is not None:
            self._take(update, regularizer)
        self._gradients: dict[tuple[int, bool], Arguments] = {}
        self._evaluations: dict[Any, tuple[Arguments, Tensor]] = {}
        self._chosen: tuple[int, bool] | None = None
        self._gradient: Arguments

    @property
    def is_whole(self) -> bool:
        """Whether its updates are made in C alone."""
        return self._update is not None and self._gradient.function.is_whole

    @property
    def room(self) -> int:
        """Bytes that its updates need to work in."""
        update = 0 if self._update is None else self._update.function.room
        return max(self._gradient.function.room, update)

    def _take(self, update: Update, regularizer: Regularizer) -> None:
        member = self.member
        numbers = [
            float(getattr(member.hyper if hasattr(member.hyper, name) else regularizer, name))
            for name in update.names
        ]
        self._numbers = torch.tensor(numbers, dtype=torch.float64)
        masks = [mask for mask in member.weights if isinstance(mask, Tensor)]
        states = [
            member.states[block][name]
            for block, entries in zip(member.blocks, update.entries, strict=True)
            for name in entries
        ]
        given = [*member.blocks, *member.grads, *masks, *states, *self._numbers.unbind()]
        self._update = Arguments(update.function, given)
        self.c.update_given = ctypes.addressof(self._update.addresses)
        self.c.lr_place = self._numbers.data_ptr()

    def prepare(self, batch: int, gathered: bool) -> None:
        """Choose the gradient for batches of a size, gathered into the room or where they are.

        Raises:
            NotNative: When the model cannot be recorded.
        """
        key = (batch, gathered)
        if key == self._chosen:
            return
        if key not in self._gradients:
            self._gradients[key] = self._gradient_of(batch, gathered)
        self._chosen, self._gradient = key, self._gradients[key]
        function, c = self._gradient.function, self.c
        c.gradient_given, c.batch = ctypes.addressof(self._gradient.addresses), batch
        if gathered:
            c.x_place, c.y_place = function.offsets.values()

    def settle(self) -> None:
        """Wait for the compiler's work on what was chosen.

        Raises:
            NoCompiler: When it could not do it.
        """
        self.c.gradient = self._gradient.function.address
        if self._update is not None:
            self.c.update = self._update.function.address

    def _gradient_of(self, batch: int, gathered: bool) -> Arguments:
        train, module = self.train, self.member.module
        try:
            function = self._model.gradient(train.x[:batch], train.y[:batch], gathered)
        except NoCompiler:
            raise
        except NotCompiled as reason:
            raise NotNative(f"the model cannot be recorded: {reason}") from reason
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        where = [] if gathered else [train.x, train.y]
        return Arguments(function, [*_state_of(module), *where, *grads, *self.values.unbind()])

    def advance(
        self, rows: Tensor | None, factors: list[float], values: Tensor, room: Tensor
    ) -> None:
        """Make updates of which PyTorch does a part.

        Args:
            rows: (K, B), or None.
            factors: Of the learning rate, K.
            values: Where to leave each batch's values, (K, M).
            room: Memory to work in.
        """
        gradient = self._gradient.bound(room)
        update = None if self._update is None else self._update.bound(room)
        sources = (self.train.x, self.train.y)
        offsets = self._gradient.function.offsets.values()
        places = [
            _placed(room, offset, source, self.c.batch)
            for offset, source in zip(offsets, sources, strict=False)
        ]
        for step, factor in enumerate(factors):
            if rows is not None:
                for source, place in zip(sources, places, strict=True):
                    torch.index_select(source, 0, rows[step], out=place)
            gradient()
            values[step] = self.values
            if update is None:
                self.member.update(factor)
            else:
                self._numbers[0] = self.member.lr * factor
                update()

    def evaluation(self, x: Tensor, y: Tensor) -> tuple[Arguments, Tensor]:
        """Return how to evaluate on rows, and where their mean values will be.

        Raises:
            NotNative: When the model cannot be recorded.
        """
        key = tuple((part.data_ptr(), part.shape, part.stride()) for part in (x, y))
        if key not in self._evaluations:
            try:
                function = self._model.evaluation(x, y)
            except NoCompiler:
                raise
            except NotCompiled as reason:
                raise NotNative(f"the model cannot be recorded: {reason}") from reason
            values = torch.zeros_like(self.values)
            rows = [x.contiguous(), y.contiguous()]
            given = [*_state_of(self.member.module), *rows, *values.unbind()]
            self._evaluations[key] = Arguments(function, given), values
        return self._evaluations[key]


def _placed(room: Tensor, offset: int, like: Tensor, batch: int) -> Tensor:
    part = room[offset : offset + batch * _row_bytes(like)]
    return part.view(like.dtype).view(batch, *like.shape[1:])


def _row_bytes(rows: Tensor) -> int:
    return rows[0].numel() * rows.element_size()


def _state_of(module: nn.Module) -> list[Tensor]:
    return [*(p.detach() for p in module.parameters()), *module.buffers()]


def _update_or_none(member: FunctionalRun, regularizer: Any, num_rows: int) -> Update | None:
    """Return the compiled update, or None for a rule that PyTorch runs better."""
    try:
        update = update_of(member, regularizer, num_rows)
    except NoCompiler:
        raise
    except NotCompiled:  # whatever a rule asks of tensors
        return None
    return update if update.function.is_whole else None
