"""Compiled kernels of rules, one per rule, form and dtypes."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from optlab.optim.apply import updated
from optlab.optim.fast.compiler import c_library
from optlab.optim.fast.source import STORAGE, Layout, c_source, scratch_size
from optlab.optim.fast.trace import Untraceable, record
from optlab.optim.groups import GradientOptions
from optlab.optim.rule import Hyper, Rule


@dataclass(frozen=True)
class Kernel:
    """A compiled update of any number of tensors.

    Attributes:
        step: The C function; see `optlab.optim.fast.source.c_source`.
        layout: What it finds in a row of pointers.
        entries: Names of the state's entries in the order of a row, scalars first.
        scratch: Doubles per tensor that it needs to work.
        source: Its C code.
    """

    step: Any
    layout: Layout
    entries: tuple[str, ...]
    scratch: int
    source: str


_known: dict[tuple[Any, ...], Kernel] = {}


def kernel_for(
    rule: Rule, hyper: Hyper, options: GradientOptions, param: Tensor, state: dict[str, Tensor]
) -> Kernel:
    """Return the kernel for tensors like ``param`` in states like ``state``.

    Raises:
        Untraceable: When the rule has no formula per element.
        NoCompiler: When it cannot be compiled here.
    """
    if not rule.elementwise:
        raise Untraceable("the rule looks at whole tensors, not at single elements")
    kinds = tuple((name, value.dtype) for name, value in state.items())
    key = (rule.update, rule.scalars, program_key(hyper, options), param.dtype, kinds)
    if key not in _known:
        _known[key] = _make(rule, hyper, options, param.dtype, state)
    return _known[key]


def program_key(hyper: Hyper, options: GradientOptions) -> tuple[Any, ...]:
    """Return what of the hyperparameters is built into a kernel: all but the numbers."""
    static = set(hyper.float_names())
    form = tuple(getattr(hyper, f.name) for f in fields(hyper) if f.name not in static)
    decays = not _is_zero(options.weight_decay)
    return (type(hyper), form, options.maximize, decays, decays and options.decoupled_weight_decay)


def numbers_of(hyper: Hyper, options: GradientOptions) -> list[float]:
    """Return the numbers that a kernel takes, in its order."""
    values = [getattr(hyper, name) for name in hyper.float_names()]
    return [float(value) for value in (*values, options.weight_decay)]


def _make(
    rule: Rule, hyper: Hyper, options: GradientOptions, dtype: torch.dtype, state: dict[str, Tensor]
) -> Kernel:
    scalars = [name for name in state if name in rule.scalars]
    others = [name for name in state if name not in rule.scalars]
    elements = (dtype, *(state[name].dtype for name in others))
    layout = Layout(
        hypers=len(hyper.float_names()) + 1,
        scalars=tuple(state[name].dtype for name in scalars),
        gradient=dtype,
        elements=elements,
    )
    unknown = {*layout.scalars, *elements} - STORAGE.keys()
    if unknown:
        raise Untraceable(f"tensors of {', '.join(sorted(map(str, unknown)))}")
    numbers = [torch.tensor(x, dtype=torch.float64) for x in numbers_of(hyper, options)]
    counts = [torch.ones((), dtype=torch.float64) for _ in scalars]
    vectors = [torch.ones(2, dtype=kind) for kind in (dtype, *elements)]

    def step(*inputs: Tensor) -> list[Tensor]:
        return _one_step(rule, hyper, options, scalars, others, inputs)

    formula = record(step, [*numbers, *counts, *vectors])
    source = c_source(formula, layout)
    function = c_library(source).optlab_step
    function.restype = None
    function.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 4, ctypes.c_int64]
    return Kernel(function, layout, (*scalars, *others), scratch_size(formula), source)


def _one_step(
    rule: Rule,
    hyper: Hyper,
    options: GradientOptions,
    scalars: Sequence[str],
    others: Sequence[str],
    inputs: Sequence[Tensor],
) -> list[Tensor]:
    """Return new scalars, parameter and rest of the state, from what a kernel has in its row."""
    names = hyper.float_names()
    values, (decay, *rest) = inputs[: len(names)], inputs[len(names) :]
    counts, (grad, param, *others_now) = rest[: len(scalars)], rest[len(scalars) :]
    if not _is_zero(options.weight_decay):
        options = replace_unchecked(options, weight_decay=decay)
    state = dict(zip((*scalars, *others), (*counts, *others_now), strict=True))
    numbers = hyper.with_values(**dict(zip(names, values, strict=True)))
    new_param, new = updated(rule, grad, param, state, numbers, options)
    return [*(new[n] for n in scalars), new_param, *(new[n] for n in others)]


def replace_unchecked(options: GradientOptions, **values: Any) -> GradientOptions:
    """Return a copy with fields replaced by tensors."""
    copy = object.__new__(GradientOptions)
    copy.__dict__.update({**options.__dict__, **values})
    return copy


def _is_zero(value: Any) -> bool:
    return isinstance(value, float | int) and value == 0
