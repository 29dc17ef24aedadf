"""A rule as a list of arithmetic operations, recorded while it runs once on small tensors.

An elementwise rule is a formula. Running it under a recorder gives the operations of that formula
in their order, with the dtype of every intermediate value, so that a compiler can be given exactly
what PyTorch would have computed, rounding by rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from optlab.compiler import NotCompiled


class Untraceable(NotCompiled):
    """A rule does something that has no formula for one element."""


@dataclass(frozen=True)
class Value:
    """An intermediate value: a number per element, or one number per tensor (``scalar``)."""

    index: int
    dtype: torch.dtype
    scalar: bool


@dataclass(frozen=True)
class Operation:
    """``result = name(*arguments)``; arguments are values, numbers, dtypes or None.

    Attributes:
        name: Overload packet of the ATen operation, such as ``mul``.
        dtype: In which the operands meet, by PyTorch's promotion.
    """

    result: Value
    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    dtype: torch.dtype


@dataclass
class Formula:
    """Operations that lead from ``inputs`` to ``outputs``."""

    inputs: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)


def record(function: Any, inputs: Sequence[Tensor]) -> Formula:
    """Return what ``function(*inputs)``, which returns a list of tensors, computes.

    Args:
        function: Pure; called once.
        inputs: 0-d tensors for scalars, 1-d tensors for what has elements.

    Raises:
        Untraceable: When the function asks for a tensor's value or mixes elements.
    """
    recorder = _Recorder(inputs)
    with torch.no_grad(), recorder:
        outputs = function(*inputs)
    recorder.formula.outputs = [recorder.value_of(tensor) for tensor in outputs]
    return recorder.formula


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.formula = Formula()
        self._length = max((len(t) for t in inputs if t.ndim), default=0)
        # Tensors are kept alive: the id of one that is gone could become another's.
        self._count = 0
        self._known: dict[int, tuple[Tensor, Value]] = {}
        self.formula.inputs = [self._new(tensor) for tensor in inputs]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare runs without torch.compile its import, which takes a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "equal", "is_nonzero"):
            raise Untraceable("the rule asks for the value of a tensor (an `if` on one, .item())")
        result = func(*args, **(kwargs or {}))
        if not isinstance(result, Tensor):
            raise Untraceable(f"aten.{name} does not return one tensor")
        self._refuse_in_place(name, result)
        operands = [self._operand(arg) for arg in args]
        keywords = {key: self._operand(arg) for key, arg in (kwargs or {}).items()}
        tensors = [arg for arg in args if isinstance(arg, Tensor | float | int)]
        dtype = result.dtype if result.dtype != torch.bool else _meeting_dtype(tensors)
        operation = Operation(self._new(result), name, tuple(operands), keywords, dtype)
        self.formula.operations.append(operation)
        return result

    def value_of(self, tensor: Any) -> Value:
        """Return the recorded value of a tensor; an unknown 0-d one is a constant of the rule."""
        if not isinstance(tensor, Tensor):
            raise Untraceable(f"the rule returned {tensor!r} where a tensor was expected")
        if id(tensor) in self._known:
            return self._known[id(tensor)][1]
        if tensor.ndim:
            raise Untraceable("the rule uses a tensor that is not among its arguments")
        value = self._new(tensor)
        constant = Operation(value, "constant", (tensor.item(),), {}, tensor.dtype)
        self.formula.operations.append(constant)
        return value

    def _operand(self, arg: Any) -> Any:
        if isinstance(arg, Tensor):
            return self.value_of(arg)
        if isinstance(arg, list | tuple) and any(isinstance(item, Tensor) for item in arg):
            raise Untraceable("the rule joins tensors")
        return arg

    def _new(self, tensor: Tensor) -> Value:
        if tensor.ndim > 1 or (tensor.ndim and len(tensor) != self._length):
            raise Untraceable(f"the rule makes a tensor of another shape: {tuple(tensor.shape)}")
        value = Value(self._count, tensor.dtype, tensor.ndim == 0)
        self._count += 1
        self._known[id(tensor)] = (tensor, value)
        return value

    def _refuse_in_place(self, name: str, result: Tensor) -> None:
        if id(result) in self._known:
            raise Untraceable(f"aten.{name} writes into its argument; rules make new tensors")


def _meeting_dtype(operands: list[Any]) -> torch.dtype:
    """Return the dtype in which the operands of a comparison meet."""
    tensors = [x for x in operands if isinstance(x, Tensor)]
    if len(operands) == 2 and tensors:
        return torch.result_type(operands[0], operands[1])
    return tensors[0].dtype if tensors else torch.float64
