"""Operations on every element by itself, and constants."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from optlab.train.native import nests
from optlab.train.native.forms import (
    COMPARISONS,
    HEAVY,
    PLAIN,
    WRAPPED,
    arithmetic,
    literal,
    power,
)
from optlab.train.native.lower import Lowering, lowers
from optlab.train.native.values import Formula, Ref, Value

ARITHMETIC = ("add", "sub", "rsub", "mul", "div", "remainder")
#: What C does to floating-point numbers only.
FRACTIONAL = {"remainder", "floor", "ceil", "div", *HEAVY}
FILLED = {"ones_like": 1, "ones": 1, "zeros_like": 0, "zeros": 0}


@lowers(*PLAIN, *HEAVY, *ARITHMETIC)
def elementwise(lowering: Lowering, node: Node, *args: Any, **keywords: Any) -> Value | None:
    """Lower an operation that has a template."""
    target: Any = node.target
    name: str = target.overloadpacket.__name__
    form = HEAVY.get(name) or PLAIN.get(name) or arithmetic(name, keywords)
    operands = [a for a in args if isinstance(a, Ref | Formula | int | float)]
    meeting = _meeting_dtype(node, name in COMPARISONS)
    if form is None or len(operands) < len([a for a in args if a is not None]):
        return None
    if name in FRACTIONAL and not meeting.is_floating_point:
        return None
    if meeting == torch.int64 and keywords.get("alpha", 1) == 1:
        form = WRAPPED.get(name, form)
    return lowering.formula(node, form, operands, meeting, name in HEAVY)


@lowers("pow")
def pow_(lowering: Lowering, node: Node, base: Any, exponent: Any) -> Value | None:
    """Lower a power."""
    dtype: torch.dtype = node.meta["val"].dtype
    form = power(exponent, not dtype.is_floating_point)
    heavy = form.startswith("pow")
    if heavy and not dtype.is_floating_point:
        return None
    return lowering.formula(node, form, [base, exponent], dtype, heavy)


@lowers("where")
def where(lowering: Lowering, node: Node, condition: Any, chosen: Any, other: Any) -> Value:
    """Lower a choice; the condition goes through the type of the values, exactly."""
    dtype = node.meta["val"].dtype
    return lowering.formula(node, "{0} != 0 ? {1} : {2}", [condition, chosen, other], dtype)


@lowers("clamp")
def clamp(lowering: Lowering, node: Node, x: Any, min: Any = None, max: Any = None) -> Value:
    """Lower bounds, which NaN passes."""
    form, operands = "{0}", [x]
    for bound, sign in ((min, "<"), (max, ">")):
        if bound is not None:
            limit = f"{{{len(operands)}}}"
            form = f"({form} {sign} {limit} ? {limit} : {form})"
            operands.append(bound)
    return lowering.formula(node, form, operands, node.meta["val"].dtype)


@lowers("clamp_min")
def clamp_min(lowering: Lowering, node: Node, x: Any, min: Any) -> Value:
    """Lower a lower bound."""
    return clamp(lowering, node, x, min)


@lowers("clamp_max")
def clamp_max(lowering: Lowering, node: Node, x: Any, max: Any) -> Value:
    """Lower an upper bound."""
    return clamp(lowering, node, x, None, max)


@lowers("abs")
def absolute(lowering: Lowering, node: Node, x: Any) -> Value:
    """Lower an absolute value."""
    return lowering.formula(node, "{0} < 0 ? -{0} : {0} + 0", [x], node.meta["val"].dtype)


@lowers("bitwise_not")
def bitwise_not(lowering: Lowering, node: Node, x: Any) -> Value:
    """Lower a negation of bits, or of a truth value."""
    dtype = node.meta["val"].dtype
    return lowering.formula(node, "!{0}" if dtype == torch.bool else "~{0}", [x], dtype)


@lowers(*FILLED, "full", "full_like", "scalar_tensor")
def filled(lowering: Lowering, node: Node, *args: Any, **_: Any) -> Formula:
    """Lower a constant: it lies nowhere."""
    target: Any = node.target
    fixed = FILLED.get(target.overloadpacket.__name__)
    given = [a for a in args if isinstance(a, int | float)]
    fake = node.meta["val"]
    return constant(given[-1] if fixed is None else fixed, tuple(fake.shape), fake.dtype)


def constant(number: float, shape: tuple[int, ...], dtype: torch.dtype) -> Formula:
    """Return a tensor of one number."""
    kind = nests.local_type(dtype)
    return Formula(f"({kind}){literal(number)}", [], kind, shape, dtype)


@lowers("arange")
def arange(lowering: Lowering, node: Node, *bounds: Any, **_: Any) -> Ref:
    """Lower a range, which is the same at every call."""
    return lowering.constant(torch.arange(*bounds).to(node.meta["val"].dtype))


def _meeting_dtype(node: Node, compares: bool) -> torch.dtype:
    """Return the type in which the operands of an operation meet."""
    result: torch.dtype = node.meta["val"].dtype
    if not compares:
        return result
    operands: list[Any] = [a.meta["val"] if isinstance(a, Node) else a for a in node.args]
    first: Tensor = operands[0]
    return torch.result_type(first, operands[1]) if len(operands) > 1 else first.dtype
