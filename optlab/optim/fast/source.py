"""A recorded formula as text that C and CUDA C++ read alike, operation by operation.

The arithmetic is that of PyTorch's own eager operations, one rounding per operation and no fused
multiply-add, so that the result is the same to the last bit. Scalars (hyperparameters, counters and
what follows from them alone) are computed in double, as Python would.

`optlab.optim.fast.c_source` and `optlab.optim.fast.cuda_source` put these functions into whole
files. What differs between the two languages is hidden in names that each defines: ``FUNCTION``,
``float16``, ``bfloat16``, and the conversions of both from and to float.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from optlab.optim.fast.trace import Formula, Operation, Untraceable, Value

C_TYPES = {torch.float32: "float", torch.float64: "double", torch.bool: "int"}
#: How an element is kept in memory: its type, and how it is read and written.
STORAGE = {
    torch.float32: ("float", "{}", "{}"),
    torch.float64: ("double", "{}", "{}"),
    torch.float16: ("float16", "from_float16({})", "to_float16({})"),
    torch.bfloat16: ("bfloat16", "from_bfloat16({})", "to_bfloat16({})"),
}


@dataclass(frozen=True)
class Layout:
    """What the inputs and outputs of a formula are in memory.

    The inputs of the formula are the hyperparameters, the scalars of the state, gradient, parameter
    and the rest of the state, in this order; its outputs are the new scalars, the new parameter and
    the new rest of the state. A row of pointers leads to one tensor's: scalars of the state,
    gradient, parameter, rest of the state.

    Attributes:
        hypers: Number of hyperparameters.
        scalars: Dtypes in which the scalars of the state are kept.
        gradient: Dtype of the gradient.
        elements: Dtypes of the parameter and of the rest of the state.
    """

    hypers: int
    scalars: tuple[torch.dtype, ...]
    gradient: torch.dtype
    elements: tuple[torch.dtype, ...]

    @property
    def row(self) -> int:
        """Pointers in a row."""
        return len(self.scalars) + 1 + len(self.elements)


class Writer:
    """Prints what every language needs of a formula.

    Raises:
        Untraceable: When a number per tensor and one per element take each other's place.
    """

    def __init__(self, formula: Formula, layout: Layout) -> None:
        self.formula, self.layout = formula, layout
        h, s = layout.hypers, len(layout.scalars)
        self.hypers = formula.inputs[:h]
        self.scalars = formula.inputs[h : h + s]
        self.gradient, *self.elements = formula.inputs[h + s :]
        self.new_scalars, self.new_elements = formula.outputs[:s], formula.outputs[s:]
        self.crossing = crossing(formula)
        if any(not value.scalar for value in self.new_scalars):
            raise Untraceable("a scalar of the state would become a number per element")
        if any(value.scalar for value in self.new_elements):
            raise Untraceable("the parameter or its state would become one number")

    def sizes(self) -> list[str]:
        """Return the sizes of what the functions take, as definitions."""
        sizes = {
            "HYPERS": self.layout.hypers,
            "SCALARS": len(self.scalars),
            "SCRATCH": max(1, len(self.crossing)),
            "ROW": self.layout.row,
        }
        return [*(f"#define {name} {size}" for name, size in sizes.items()), ""]

    def scalar_functions(self) -> list[str]:
        """Return functions of one tensor's scalars: read them, advance them, write them back.

        ``advance`` also leaves in ``scratch`` what the elements need.
        """
        kept = [STORAGE[dtype] for dtype in self.layout.scalars]
        places = [f"*({kind[0]} *)row[{i}]" for i, kind in enumerate(kept)]
        look = [f"seen[{i}] = (double){k[1].format(places[i])};" for i, k in enumerate(kept)]
        put = [f"{places[i]} = {k[2].format(f'fresh[{i}]')};" for i, k in enumerate(kept)]
        advance = [
            *(f"const double {_name(v)} = hyper[{i}];" for i, v in enumerate(self.hypers)),
            *(f"const double {_name(v)} = seen[{i}];" for i, v in enumerate(self.scalars)),
            *(_statement(op) for op in self.formula.operations if op.result.scalar),
            *(f"scratch[{i}] = (double){_name(v)};" for i, v in enumerate(self.crossing)),
            *(f"fresh[{i}] = (double){_name(v)};" for i, v in enumerate(self.new_scalars)),
        ]
        given = "const double *seen, const double *hyper, double *scratch, double *fresh"
        return [
            *function("void look(void *const *row, double *seen)", look),
            *function("void put(void *const *row, const double *fresh)", put),
            *function(f"void advance({given})", advance),
        ]

    def pointers(self) -> list[str]:
        """Return the pointers of a row: ``pg`` to the gradient; ``p0``, ... to what is written."""
        names = ["pg", *(f"p{i}" for i in range(len(self.elements)))]
        kinds = [f"const {STORAGE[self.layout.gradient][0]}"]
        kinds += [STORAGE[dtype][0] for dtype in self.layout.elements]
        first = len(self.scalars)
        return [
            f"{kind} *__restrict__ {name} = ({kind} *)row[{first + i}];"
            for i, (kind, name) in enumerate(zip(kinds, names, strict=True))
        ]

    def known(self) -> list[str]:
        """Return the scalars that ``scratch`` holds, in the types in which elements meet them."""
        kinds = [C_TYPES[value.dtype] for value in self.crossing]
        return [
            f"const {kind} {_name(value)} = ({kind})scratch[{i}];"
            for i, (kind, value) in enumerate(zip(kinds, self.crossing, strict=True))
        ]

    def element(self, place: str) -> list[str]:
        """Return the update of one element.

        Args:
            place: Where it is, with ``{}`` for ``g`` or the number of the pointer.
        """
        places = [place.format(i) for i in range(len(self.elements))]
        kinds, steps = self.layout.elements, self.formula.operations
        return [
            _load(self.gradient, self.layout.gradient, place.format("g")),
            *(_load(v, k, p) for v, k, p in zip(self.elements, kinds, places, strict=True)),
            *(_statement(operation) for operation in steps if not operation.result.scalar),
            *(
                f"{p} = {STORAGE[k][2].format(_name(v))};"
                for v, k, p in zip(self.new_elements, kinds, places, strict=True)
            ),
        ]


def crossing(formula: Formula) -> list[Value]:
    """Return the scalars that the elements need."""
    needed: dict[Value, None] = {}
    for operation in formula.operations:
        if not operation.result.scalar:
            used = (*operation.arguments, *operation.keywords.values())
            needed |= {v: None for v in used if isinstance(v, Value) and v.scalar}
    return list(needed)


def function(head: str, body: Sequence[str]) -> list[str]:
    """Return the lines of a function."""
    return [f"FUNCTION {head} {{", *indented(body), "}", ""]


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines one level deeper."""
    return [f"    {line}" for line in lines]


def _name(value: Value) -> str:
    return f"v{value.index}"


def _load(value: Value, stored: torch.dtype, place: str) -> str:
    # A 16-bit element is read as float; the recorded cast to float32 then changes nothing.
    kind = C_TYPES.get(value.dtype, "float")
    return f"const {kind} {_name(value)} = {STORAGE[stored][1].format(place)};"


def _statement(operation: Operation) -> str:
    value = operation.result
    kind = C_TYPES.get(value.dtype)
    form = _FORMS.get(operation.name)
    if kind is None or form is None:
        raise Untraceable(f"aten.{operation.name} to {value.dtype} has no compiled form")
    return f"const {kind} {_name(value)} = ({kind})({form(operation)});"


def _operand(argument: Any, kind: str) -> str:
    if isinstance(argument, Value):
        return f"({kind}){_name(argument)}"
    if isinstance(argument, bool):
        return str(int(argument))
    if isinstance(argument, int | float):
        return f"({kind}){_literal(float(argument))}"
    raise Untraceable(f"argument {argument!r} has no compiled form")


def _literal(number: float) -> str:
    if number != number or number in (float("inf"), -float("inf")):
        return "NAN" if number != number else "INFINITY" if number > 0 else "(-INFINITY)"
    return number.hex() if number >= 0 else f"({number.hex()})"


def _template(text: str) -> Callable[[Operation], str]:
    """Return the form ``text`` with operands for {0}, {1}, {2} and {f} for float functions."""

    def form(operation: Operation) -> str:
        if {key for key, value in operation.keywords.items() if value not in (None, 1)}:
            raise Untraceable(f"aten.{operation.name} with {operation.keywords}")
        kind = C_TYPES.get(operation.dtype)
        if kind is None:
            raise Untraceable(f"aten.{operation.name} in {operation.dtype} has no compiled form")
        operands = [_operand(argument, kind) for argument in operation.arguments]
        return text.format(*operands, f="f" if kind == "float" else "")

    return form


def _power(operation: Operation) -> str:
    base, exponent = operation.arguments
    kind = C_TYPES.get(operation.dtype, "float")
    x = _operand(base, kind)
    if not operation.result.scalar and exponent in (0.5, 2, 3):  # as ATen's vectorized pow
        root = "sqrtf" if kind == "float" else "sqrt"
        return {0.5: f"{root}({x})", 2: f"{x} * {x}", 3: f"{x} * {x} * {x}"}[exponent]
    return f"pow{'f' if kind == 'float' else ''}({x}, {_operand(exponent, kind)})"


def _clamp(operation: Operation) -> str:
    x, low, high = (*operation.arguments, None, None)[:3]
    kind = C_TYPES.get(operation.dtype, "float")
    low, high = operation.keywords.get("min", low), operation.keywords.get("max", high)
    text = _operand(x, kind)
    if low is not None:
        text = f"({text} < {_operand(low, kind)} ? {_operand(low, kind)} : {text})"
    if high is not None:
        text = f"({text} > {_operand(high, kind)} ? {_operand(high, kind)} : {text})"
    return text


def _where(operation: Operation) -> str:
    condition, *values = operation.arguments
    kind = C_TYPES.get(operation.dtype, "float")
    chosen, other = (_operand(value, kind) for value in values)
    return f"{_operand(condition, 'int')} ? {chosen} : {other}"


def _constant(operation: Operation) -> str:
    numbers = [x for x in operation.arguments if isinstance(x, float | int)]
    fixed = {"zeros_like": 0.0, "ones_like": 1.0, "zeros": 0.0, "ones": 1.0}
    return _literal(fixed.get(operation.name, float(numbers[-1] if numbers else 0.0)))


def _same(operation: Operation) -> str:
    argument = operation.arguments[0]
    if not isinstance(argument, Value):
        raise Untraceable(f"aten.{operation.name} of {argument!r}")
    return _name(argument)


_FORMS: dict[str, Callable[[Operation], str]] = {
    name: _template(text)
    for name, text in {
        "add": "{0} + {1}",
        "sub": "{0} - {1}",
        "rsub": "{1} - {0}",
        "mul": "{0} * {1}",
        "div": "{0} / {1}",
        "neg": "-{0}",
        "reciprocal": "1 / {0}",
        "sqrt": "sqrt{f}({0})",
        "rsqrt": "1 / sqrt{f}({0})",
        "exp": "exp{f}({0})",
        "log": "log{f}({0})",
        "tanh": "tanh{f}({0})",
        "cos": "cos{f}({0})",
        "floor": "floor{f}({0})",
        "abs": "fabs{f}({0})",
        "sign": "({0} > 0) - ({0} < 0)",
        "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
        "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
        "remainder": "{0} - {1} * floor{f}({0} / {1})",
        "copysign": "copysign{f}({0}, {1})",
        "gt": "{0} > {1}",
        "ge": "{0} >= {1}",
        "lt": "{0} < {1}",
        "le": "{0} <= {1}",
        "eq": "{0} == {1}",
        "ne": "{0} != {1}",
        "logical_not": "!({0})",
        "logical_and": "{0} && {1}",
        "logical_or": "{0} || {1}",
        "bitwise_not": "!({0})",
        "bitwise_and": "{0} & {1}",
        "bitwise_or": "{0} | {1}",
    }.items()
}
_FORMS |= {"pow": _power, "where": _where}
_FORMS |= dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _clamp)
_FORMS |= dict.fromkeys(("constant", "scalar_tensor", "zeros_like", "ones_like"), _constant)
_FORMS |= dict.fromkeys(("_to_copy", "clone", "alias", "detach", "lift_fresh"), _same)
