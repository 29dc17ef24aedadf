"""Compiled kernels of rules, one per rule, form, dtypes and kind of device."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import c_library
from optlab.optim.apply import updated
from optlab.optim.fast.c_source import c_source, scratch_size
from optlab.optim.fast.cuda_source import LONG, SHORT, cuda_source, rows_within
from optlab.optim.fast.source import STORAGE, Layout
from optlab.optim.fast.trace import Formula, Untraceable, record
from optlab.optim.groups import GradientOptions
from optlab.optim.math import is_zero
from optlab.optim.rule import Hyper, Rule, with_fields


@dataclass(frozen=True)
class Program:
    """What a kernel computes, on whatever device.

    Attributes:
        formula: The update of one element.
        layout: What a kernel finds in a row of pointers.
        entries: Names of the state's entries in the order of a row, scalars first.
    """

    formula: Formula
    layout: Layout
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """A compiled update of any number of tensors on the CPU.

    Attributes:
        program: What it computes.
        step: The C function; see `optlab.optim.fast.c_source.c_source`.
        scratch: Doubles per tensor that it needs to work.
        source: Its C code.
        rows: Tensors that one call may update.
    """

    program: Program
    step: Any
    scratch: int
    source: str
    rows: int = 1 << 31


@dataclass(frozen=True)
class CudaKernel:
    """An update of tensors on a CUDA device, compiled for a device when it is first used there.

    Attributes:
        program: What it computes.
        short: Tensors, and source, of the kernel for a few.
        long: The same for many.
    """

    program: Program
    short: tuple[int, str]
    long: tuple[int, str]

    @property
    def rows(self) -> int:
        """Tensors that one launch may update."""
        return self.long[0]


def c_kernel(program: Program) -> Kernel:
    """Return the kernel for the CPU.

    Raises:
        Untraceable: For an operation without a C form.
        NoCompiler: When it cannot be compiled here.
    """
    source = c_source(program.formula, program.layout)
    function = c_library(source).optlab_step
    function.restype = None
    function.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 4, ctypes.c_int64]
    return Kernel(program, function, scratch_size(program.formula), source)


def cuda_kernel(program: Program) -> CudaKernel:
    """Return the kernel for CUDA devices, not compiled yet.

    Raises:
        Untraceable: For an operation without a C form.
    """
    rows = [rows_within(program.layout, limit) for limit in (SHORT, LONG)]
    short, long = ((n, cuda_source(program.formula, program.layout, n)) for n in rows)
    return CudaKernel(program, short, long)


#: How a kernel is made for each type of device that has any.
MAKERS: Mapping[str, Callable[[Program], Kernel | CudaKernel]] = {
    "cpu": c_kernel,
    "cuda": cuda_kernel,
}
_known: dict[tuple[Any, ...], Kernel | CudaKernel] = {}


def kernel_for(
    rule: Rule, hyper: Hyper, options: GradientOptions, param: Tensor, state: dict[str, Tensor]
) -> Kernel | CudaKernel:
    """Return the kernel for tensors like ``param`` in states like ``state``.

    Raises:
        Untraceable: When the rule has no formula per element.
        NoCompiler: When it cannot be compiled here.
    """
    if not rule.elementwise:
        raise Untraceable("the rule looks at whole tensors, not at single elements")
    kinds = tuple((name, value.dtype) for name, value in state.items())
    make = MAKERS[param.device.type]
    key = (make, rule.update, rule.scalars, program_key(hyper, options), param.dtype, kinds)
    if key not in _known:
        _known[key] = make(program_of(rule, hyper, options, param.dtype, state))
    return _known[key]


def program_key(hyper: Hyper, options: GradientOptions) -> tuple[Any, ...]:
    """Return what of the hyperparameters is built into a kernel: all but the numbers."""
    static = set(hyper.float_names())
    form = tuple(getattr(hyper, f.name) for f in fields(hyper) if f.name not in static)
    decays = not is_zero(options.weight_decay)
    return (type(hyper), form, options.maximize, decays, decays and options.decoupled_weight_decay)


def numbers_of(hyper: Hyper, options: GradientOptions) -> list[float | Tensor]:
    """Return the numbers that a kernel takes, in its order.

    A tensor on another device than the CPU stays one: to ask for its value is to wait for it.
    """
    values = [getattr(hyper, name) for name in hyper.float_names()]
    return [_known_number(value) for value in (*values, options.weight_decay)]


def _known_number(value: Any) -> float | Tensor:
    if isinstance(value, Tensor) and value.device.type != "cpu":
        return value
    return float(value)


def program_of(
    rule: Rule, hyper: Hyper, options: GradientOptions, dtype: torch.dtype, state: dict[str, Tensor]
) -> Program:
    """Return what a kernel computes for tensors of ``dtype`` in states like ``state``.

    Raises:
        Untraceable: When the rule has no formula per element.
    """
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
    numbers = [torch.ones((), dtype=torch.float64) for _ in range(layout.hypers)]
    counts = [torch.ones((), dtype=torch.float64) for _ in scalars]
    vectors = [torch.ones(2, dtype=kind) for kind in (dtype, *elements)]

    def step(*inputs: Tensor) -> list[Tensor]:
        return _one_step(rule, hyper, options, scalars, others, inputs)

    formula = record(step, [*numbers, *counts, *vectors])
    return Program(formula, layout, (*scalars, *others))


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
    if not is_zero(options.weight_decay):
        options = with_fields(options, {"weight_decay": decay})
    state = dict(zip((*scalars, *others), (*counts, *others_now), strict=True))
    numbers = hyper.with_values(**dict(zip(names, values, strict=True)))
    new_param, new = updated(rule, grad, param, state, numbers, options)
    # What the rule does not return is somebody else's entry, and stays as it is.
    return [*(new[n] for n in scalars), new_param, *(new.get(n, state[n]) for n in others)]
