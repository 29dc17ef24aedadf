"""A recorded formula as C: one pass over the elements of any number of tensors.

The arithmetic is that of PyTorch's own eager operations, one rounding per operation and no fused
multiply-add, so that the result is the same to the last bit. Scalars (hyperparameters, counters and
what follows from them alone) are computed once per tensor in double, as Python would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from optlab.optim.fast.trace import Formula, Operation, Untraceable, Value

C_TYPES = {torch.float32: "float", torch.float64: "double", torch.bool: "int"}
#: How an element is kept in memory: C type, and how it is read and written.
STORAGE = {
    torch.float32: ("float", "{}", "{}"),
    torch.float64: ("double", "{}", "{}"),
    torch.float16: ("_Float16", "(float)({})", "(_Float16)({})"),
    torch.bfloat16: ("uint16_t", "from_bfloat16({})", "to_bfloat16({})"),
}

_PREAMBLE = """\
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static inline float from_bfloat16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint16_t to_bfloat16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return value != value ? 0x7fc0 : (uint16_t)rounded;
}
"""


@dataclass(frozen=True)
class Layout:
    """What the inputs and outputs of a formula are in memory.

    The inputs of the formula are the hyperparameters, the scalars of the state, gradient, parameter
    and the rest of the state, in this order; its outputs are the new scalars, the new parameter and
    the new rest of the state.

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


def c_source(formula: Formula, layout: Layout) -> str:
    """Return a C file that defines ``optlab_step``.

    ``void optlab_step(int64_t count, const int64_t *sizes, void **pointers, const double *hyper,
    double *scratch, int64_t threads)`` updates ``count`` tensors. ``pointers`` has for each tensor
    one row: scalars of the state, gradient, parameter, rest of the state. ``scratch`` has room for
    `scratch_size` doubles per tensor.

    Raises:
        Untraceable: For an operation without a C form, naming it.
    """
    return _Writer(formula, layout).source()


def scratch_size(formula: Formula) -> int:
    """Return the doubles per tensor that ``optlab_step`` needs."""
    return max(1, len(_crossing(formula)))


def _crossing(formula: Formula) -> list[Value]:
    """Return the scalars that the elements need."""
    needed: dict[Value, None] = {}
    for operation in formula.operations:
        if not operation.result.scalar:
            used = (*operation.arguments, *operation.keywords.values())
            needed |= {v: None for v in used if isinstance(v, Value) and v.scalar}
    return list(needed)


class _Writer:
    def __init__(self, formula: Formula, layout: Layout) -> None:
        self.formula, self.layout = formula, layout
        h, s = layout.hypers, len(layout.scalars)
        self.hypers = formula.inputs[:h]
        self.scalars = formula.inputs[h : h + s]
        self.gradient, *self.elements = formula.inputs[h + s :]
        self.new_scalars, self.new_elements = formula.outputs[:s], formula.outputs[s:]
        self.crossing = _crossing(formula)
        self.row = s + 1 + len(self.elements)
        if any(not value.scalar for value in self.new_scalars):
            raise Untraceable("a scalar of the state would become a number per element")
        if any(value.scalar for value in self.new_elements):
            raise Untraceable("the parameter or its state would become one number")

    def source(self) -> str:
        return "\n".join(
            [_PREAMBLE, *self._prologue(), *self._repetition(), *self._body(), self._driver()]
        )

    def _prologue(self) -> list[str]:
        """Return the function of one tensor's scalars: reads and advances them, fills scratch."""
        reads = [f"const double {_name(v)} = hyper[{i}];" for i, v in enumerate(self.hypers)] + [
            f"const double {_name(v)} = (double)*({STORAGE[dtype][0]} *)row[{i}];"
            for i, (v, dtype) in enumerate(zip(self.scalars, self.layout.scalars, strict=True))
        ]
        steps = [_statement(op) for op in self.formula.operations if op.result.scalar]
        keep = [f"scratch[{i}] = (double){_name(v)};" for i, v in enumerate(self.crossing)]
        writes = [
            f"*({STORAGE[dtype][0]} *)row[{i}] = ({STORAGE[dtype][0]}){_name(v)};"
            for i, (v, dtype) in enumerate(zip(self.new_scalars, self.layout.scalars, strict=True))
        ]
        head = "static void advance(void **row, const double *hyper, double *scratch) {"
        return [head, *_indented([*reads, *steps, *keep, *writes]), "}", ""]

    def _repetition(self) -> list[str]:
        """Return functions for tensors in the same state, whose scalars need no second power."""
        kept = [STORAGE[dtype][0] for dtype in self.layout.scalars]
        reads = [f"seen[{i}] = (double)*({kind} *)row[{i}];" for i, kind in enumerate(kept)]
        copies = [f"*({k} *)row[{i}] = *({k} *)before[{i}];" for i, k in enumerate(kept)]
        return [
            "static void look(void **row, double *seen) {",
            *_indented(reads),
            "}",
            "",
            "static void repeat(void **row, void **before) {",
            *_indented(copies),
            "}",
            "",
        ]

    def _body(self) -> list[str]:
        """Return the function of the elements ``first`` to ``last`` of one tensor."""
        s = len(self.scalars)
        pointers = [f"const {STORAGE[self.layout.gradient][0]} *restrict pg = row[{s}];"] + [
            f"{STORAGE[dtype][0]} *restrict p{i} = row[{s + 1 + i}];"
            for i, dtype in enumerate(self.layout.elements)
        ]
        known = [
            f"const {C_TYPES[v.dtype]} {_name(v)} = ({C_TYPES[v.dtype]})scratch[{i}];"
            for i, v in enumerate(self.crossing)
        ]
        loads = [_load(self.gradient, self.layout.gradient, "pg[i]")] + [
            _load(v, dtype, f"p{i}[i]")
            for i, (v, dtype) in enumerate(zip(self.elements, self.layout.elements, strict=True))
        ]
        steps = [_statement(op) for op in self.formula.operations if not op.result.scalar]
        stores = [
            f"p{i}[i] = {STORAGE[dtype][2].format(_name(v))};"
            for i, (v, dtype) in enumerate(
                zip(self.new_elements, self.layout.elements, strict=True)
            )
        ]
        loop = ["for (int64_t i = first; i < last; i++) {"]
        loop += [*_indented([*loads, *steps, *stores]), "}"]
        return [
            "static void update(void **row, const double *scratch, int64_t first, int64_t last) {",
            *_indented([*pointers, *known, *loop]),
            "}",
            "",
        ]

    def _driver(self) -> str:
        sizes = {"ROW": self.row, "SCRATCH": max(1, len(self.crossing)), "SEEN": len(self.scalars)}
        defines = [f"#define {name} {size}" for name, size in sizes.items()]
        return "\n".join([*defines, "", _DRIVER])


_DRIVER = """\
static void share(int64_t count, const int64_t *sizes, void **pointers, const double *scratch,
                  int64_t first, int64_t last) {
    int64_t start = 0;
    for (int64_t k = 0; k < count && start < last; k++) {
        const int64_t end = start + sizes[k];
        if (end > first) {
            const int64_t low = first > start ? first - start : 0;
            const int64_t high = (last < end ? last : end) - start;
            update(pointers + k * ROW, scratch + k * SCRATCH, low, high);
        }
        start = end;
    }
}

void optlab_step(int64_t count, const int64_t *sizes, void **pointers, const double *hyper,
                 double *scratch, int64_t threads) {
    int64_t total = 0;
    double seen[SEEN + 1] = {0}, now[SEEN + 1] = {0};
    for (int64_t k = 0; k < count; k++) {
        void **row = pointers + k * ROW;
        double *own = scratch + k * SCRATCH;
        look(row, now);
        if (k > 0 && memcmp(seen, now, sizeof now) == 0) {
            repeat(row, row - ROW);
            memcpy(own, own - SCRATCH, SCRATCH * sizeof(double));
        } else {
            memcpy(seen, now, sizeof now);
            advance(row, hyper, own);
        }
        total += sizes[k];
    }
    const int64_t useful = total / 32768;
    if (threads > useful) threads = useful;
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads((int)threads)
        {
            const int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
            share(count, sizes, pointers, scratch, total * part / parts / 64 * 64,
                  part + 1 == parts ? total : total * (part + 1) / parts / 64 * 64);
        }
        return;
    }
#endif
    share(count, sizes, pointers, scratch, 0, total);
}
"""


def _name(value: Value) -> str:
    return f"v{value.index}"


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


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
