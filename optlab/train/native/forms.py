"""PyTorch's elementwise operations as C expressions.

In a template ``{0}``, ``{1}`` ... are the operands, converted to the type in which they meet, and
``{f}`` is the suffix of C's functions for that type. Functions in `math.h` of this folder, such as
``exp_float``, work on vectors of numbers once a compiler has unrolled their loop.
"""

from typing import Any

#: Of one meaning for every type of operand.
PLAIN = {
    "neg": "-{0}",
    "reciprocal": "1 / {0}",
    "sqrt": "sqrt{f}({0})",
    "rsqrt": "1 / sqrt{f}({0})",
    "floor": "floor{f}({0})",
    "ceil": "ceil{f}({0})",
    "relu": "{0} < 0 ? 0 : {0}",
    "sign": "({0} > 0) - ({0} < 0)",
    "sgn": "({0} > 0) - ({0} < 0)",
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
    "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
    "copysign": "copysign{f}({0}, {1})",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "logical_not": "!{0}",
    "logical_and": "{0} && {1}",
    "logical_or": "{0} || {1}",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "{0} ^ {1}",
    "__and__": "{0} & {1}",
    "__or__": "{0} | {1}",
    "__xor__": "{0} ^ {1}",
    "__rshift__": "{0} >> {1}",
    "__lshift__": "{0} << {1}",
    "bitwise_right_shift": "{0} >> {1}",
    "bitwise_left_shift": "{0} << {1}",
    "_to_copy": "{0}",
    "clone": "{0}",
    "lift_fresh_copy": "{0}",
    "isnan": "{0} != {0}",
    "isfinite": "{0} - {0} == 0",
    "isinf": "{0} - {0} != 0 && {0} == {0}",
}

#: Of functions that have a version for vectors in ``math.h``.
HEAVY = {
    name: f"{name}_{{type}}({{0}})" for name in ("exp", "expm1", "log", "log1p", "tanh", "sigmoid")
} | {"sin": "sin{f}({0})", "cos": "cos{f}({0})"}

#: Results that are bool whatever the operands are.
COMPARISONS = {
    *("gt", "ge", "lt", "le", "eq", "ne", "logical_not", "logical_and", "logical_or"),
    *("isnan", "isfinite", "isinf"),
}


#: Whole numbers wrap around, as PyTorch's do; in C only those without a sign may.
WRAPPED = {
    name: f"({{type}})((uint64_t){{0}} {sign} (uint64_t){{1}})"
    for name, sign in (("add", "+"), ("sub", "-"), ("mul", "*"))
}

#: Of the divisor's sign; exact, where a quotient would be rounded.
_REMAINDER = (
    "fmod{f}({0}, {1}) != 0 && ({1} < 0) != (fmod{f}({0}, {1}) < 0) "
    "? fmod{f}({0}, {1}) + {1} : fmod{f}({0}, {1})"
)


def arithmetic(name: str, keywords: dict[str, Any]) -> str | None:
    """Return the template of a sum, difference, product or quotient."""
    alpha = keywords.get("alpha", 1)
    second = "{1}" if alpha == 1 else f"{{1}} * ({{type}}){literal(alpha)}"
    mode = keywords.get("rounding_mode")
    quotient = {None: "{0} / {1}", "trunc": "trunc{f}({0} / {1})"}
    return {
        "add": f"{{0}} + {second}",
        "sub": f"{{0}} - {second}",
        "rsub": "{1} - {0}" if alpha == 1 else None,
        "mul": "{0} * {1}",
        "div": quotient.get(mode),
        "remainder": _REMAINDER,
    }.get(name)


def power(exponent: Any, is_integer: bool) -> str:
    """Return the template of a power; small whole ones as PyTorch's vectorized pow has them."""
    known = {0.5: "sqrt{f}({0})", 1: "{0}", 2: "{0} * {0}", 3: "{0} * {0} * {0}", -1: "1 / {0}"}
    if isinstance(exponent, int | float) and exponent in known and not is_integer:
        return known[exponent]
    return "{0} * {0}" if is_integer and exponent == 2 else "pow{f}({0}, {1})"


def literal(number: float | int | bool) -> str:
    """Return a number as C reads it, exactly."""
    if isinstance(number, bool):
        return str(int(number))
    if isinstance(number, int):
        return f"({number}LL)" if abs(number) < 2**63 else _float(float(number))
    return _float(number)


def _float(number: float) -> str:
    if number != number:
        return "((double)NAN)"
    if number in (float("inf"), float("-inf")):
        return "((double)INFINITY)" if number > 0 else "(-(double)INFINITY)"
    return f"({number.hex()})"
