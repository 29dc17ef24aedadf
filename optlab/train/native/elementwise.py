"""Operations on every element by itself, and constants."""

from typing import Any

import torch

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
from optlab.train.native.graph import Node, Tracked
from optlab.train.native.lower import Lowering, lowers
from optlab.train.native.values import Formula, Ref, Value

ARITHMETIC = ("add", "sub", "rsub", "mul", "div", "remainder")
#: What C does to floating-point numbers only.
FRACTIONAL = {"remainder", "floor", "ceil", "div", *HEAVY}
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
FILLED = {"ones_like": 1, "ones": 1, "zeros_like": 0, "zeros": 0}


@lowers(*PLAIN, *HEAVY, *ARITHMETIC)
def elementwise(lowering: Lowering, node: Node, *args: Any, **keywords: Any) -> Value | None:
    """Lower an operation that has a template."""
    name = node.name
    form = HEAVY.get(name) or PLAIN.get(name) or arithmetic(name, keywords)
    operands = [a for a in args if isinstance(a, Ref | Formula | int | float)]
    meeting = _meeting_dtype(node, name in COMPARISONS)
    if form is None or len(operands) < len([a for a in args if a is not None]):
        return None
    if name in FRACTIONAL and not meeting.is_floating_point:
        return None
    if meeting in _WHOLE and keywords.get("alpha", 1) == 1:
        form = WRAPPED.get(name, form)
    return lowering.formula(node, form, operands, meeting, name in HEAVY)


@lowers("pow")
def pow_(lowering: Lowering, node: Node, base: Any, exponent: Any) -> Value | None:
    """Lower a power."""
    dtype = node.output.dtype
    form = power(exponent, not dtype.is_floating_point)
    heavy = form.startswith("pow")
    if heavy and not dtype.is_floating_point:
        return None
    return lowering.formula(node, form, [base, exponent], dtype, heavy)


@lowers("where")
def where(lowering: Lowering, node: Node, condition: Any, chosen: Any, other: Any) -> Value:
    """Lower a choice; the condition goes through the type of the values, exactly."""
    dtype = node.output.dtype
    return lowering.formula(node, "{0} != 0 ? {1} : {2}", [condition, chosen, other], dtype)


@lowers("masked_fill")
def masked_fill(lowering: Lowering, node: Node, x: Any, mask: Any, value: Any) -> Value:
    """Lower a copy with one number where the mask says."""
    return where(lowering, node, mask, value, x)


@lowers("clamp")
def clamp(lowering: Lowering, node: Node, x: Any, min: Any = None, max: Any = None) -> Value | None:
    """Lower bounds, which NaN passes; a bound that is NaN makes all NaN."""
    form, operands = "{0}", [x]
    if not all(_fits(bound, node.output.dtype) for bound in (min, max)):
        return None
    for bound, sign in ((min, "<"), (max, ">")):
        if bound is not None:
            limit = f"{{{len(operands)}}}"
            form = f"({form} {sign} {limit} || {limit} != {limit} ? {limit} : {form})"
            operands.append(bound)
    return lowering.formula(node, form, operands, node.output.dtype)


def _fits(bound: Any, dtype: torch.dtype) -> bool:
    """Return whether a bound is a number of a type."""
    if dtype not in _WHOLE or not isinstance(bound, int):
        return True
    return torch.iinfo(dtype).min <= bound <= torch.iinfo(dtype).max


@lowers("clamp_min")
def clamp_min(lowering: Lowering, node: Node, x: Any, min: Any) -> Value | None:
    """Lower a lower bound."""
    return clamp(lowering, node, x, min)


@lowers("clamp_max")
def clamp_max(lowering: Lowering, node: Node, x: Any, max: Any) -> Value | None:
    """Lower an upper bound."""
    return clamp(lowering, node, x, None, max)


@lowers("abs")
def absolute(lowering: Lowering, node: Node, x: Any) -> Value:
    """Lower an absolute value."""
    return lowering.formula(node, "{0} < 0 ? -{0} : {0} + 0", [x], node.output.dtype)


@lowers("bitwise_not")
def bitwise_not(lowering: Lowering, node: Node, x: Any) -> Value:
    """Lower a negation of bits, or of a truth value."""
    dtype = node.output.dtype
    return lowering.formula(node, "!{0}" if dtype == torch.bool else "~{0}", [x], dtype)


@lowers(*FILLED, "full", "full_like", "scalar_tensor")
def filled(lowering: Lowering, node: Node, *args: Any, **_: Any) -> Formula:
    """Lower a constant: it lies nowhere."""
    fixed = FILLED.get(node.name)
    given = [a for a in args if isinstance(a, int | float)]
    made = node.output
    return constant(given[-1] if fixed is None else fixed, made.shape, made.dtype)


def constant(number: float, shape: tuple[int, ...], dtype: torch.dtype) -> Formula:
    """Return a tensor of one number."""
    kind = nests.exact_type(dtype)
    return Formula(f"({kind}){literal(number)}", [], kind, shape, dtype)


@lowers("arange")
def arange(lowering: Lowering, node: Node, *bounds: Any, **_: Any) -> Ref:
    """Lower a range, which is the same at every call."""
    return lowering.constant(torch.arange(*bounds, dtype=node.output.dtype))


def _meeting_dtype(node: Node, compares: bool) -> torch.dtype:
    """Return the type in which the operands of an operation meet."""
    result = node.output.dtype
    if not compares:
        return result
    first, *rest = [_example(argument) for argument in node.arguments]
    return torch.result_type(first, rest[0]) if rest else first.dtype


def _example(argument: Any) -> Any:
    """Return a tensor that takes part in promotion as the argument does, or the number."""
    if isinstance(argument, Tracked):
        return torch.empty(argument.shape, dtype=argument.dtype, device="meta")
    return argument


@lowers("copy", "fill")
def copy(lowering: Lowering, node: Node, to: Any, source: Any, *_: Any) -> Value:
    """Lower what is written over a tensor."""
    if isinstance(source, int | float):
        return constant(source, node.output.shape, node.output.dtype)
    return lowering.formula(node, "{0}", [source], node.output.dtype)


@lowers("zero")
def zero(lowering: Lowering, node: Node, *_: Any) -> Formula:
    """Lower zeros written over a tensor."""
    return constant(0, node.output.shape, node.output.dtype)


@lowers("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided")
def empty(lowering: Lowering, node: Node, *_: Any, **__: Any) -> Ref:
    """Lower a tensor that somebody will write into."""
    return lowering.room(node.output.shape, node.output.dtype)
