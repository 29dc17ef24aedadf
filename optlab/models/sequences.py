"""What the models of sequences share: how rows become steps, and which steps are answered.

Shapes: batch B, time T, inputs I, vocabulary V, answered steps s.
"""

import torch
from torch import Tensor

from optlab.config import ConfigError, check_value
from optlab.models.context import ModelContext
from optlab.types import Count


def step_size(context: ModelContext, model: str) -> int:
    """Return I, the numbers of one time step: V for tokens, else the last axis of (T, I).

    Args:
        context: What the task gives.
        model: Name of the model, for the message.

    Raises:
        ConfigError: When an input has no time axis, or not one axis after it.
    """
    axes = 1 if context.vocabulary else 2
    if len(context.input_shape) != axes:
        wanted = "(T,), tokens" if context.vocabulary else "(T, I)"
        remedy = context.runs_by_itself or "a task of sequences, or model=mlp"
        raise ConfigError(
            f"model={model} reads inputs of shape {wanted}, step by step, and the task's have "
            f"shape {context.input_shape}; choose {remedy}"
        )
    return context.vocabulary or context.input_shape[1]


def numbers_of_row(context: ModelContext) -> int:
    """Return how many numbers a row has, laid flat, tokens being one-hot."""
    return context.num_inputs * (context.vocabulary or 1)


def checked_target_steps(target_steps: int | None) -> int | None:
    """Return how many steps a model is to answer, at least one, or None.

    Raises:
        ConfigError: For 0, which slices would take for all steps, and for what is no count.
    """
    checked: int | None = check_value(target_steps, Count | None, "target_steps")
    return checked


def check_answered_steps(steps: int, answered: int | None) -> None:
    """Refuse to answer more time steps than there are.

    Raises:
        ConfigError: When ``answered`` is larger than ``steps``.
    """
    if answered is not None and answered > steps:
        raise ConfigError(
            f"the task wants scores of the last {answered} time steps, and there are {steps}; "
            "give longer inputs (for a network that runs by itself, a larger model.steps)"
        )


def check_scores_of_units(num_outputs: int, units: int) -> None:
    """Refuse more scores than there are units whose states they are to be.

    Raises:
        ConfigError: When ``num_outputs`` is larger than ``units``.
    """
    if num_outputs > units:
        raise ConfigError(
            f"without a readout {num_outputs} scores cannot be taken from the states of {units} "
            "units; give more units, or readout=True"
        )


def one_hot(x: Tensor, vocabulary: int | None, dtype: torch.dtype) -> Tensor:
    """Return tokens (..., T) as (..., T, V) with a 1 at each token's place; numbers as they are.

    Args:
        x: Tokens, integers in [0, V), when there is a vocabulary, else floating-point numbers.
        vocabulary: V, or None.
        dtype: Type of the result.

    Raises:
        ConfigError: For numbers where tokens are due or the reverse, and for a token outside
            (see `check_tokens`).
    """
    if x.is_floating_point() == bool(vocabulary):
        wanted = f"tokens, integers below {vocabulary}" if vocabulary else "floating-point numbers"
        raise ConfigError(f"this model reads {wanted}, got {x.dtype}")
    if not vocabulary:
        return x
    check_tokens(x, vocabulary)
    return (x.unsqueeze(-1) == torch.arange(vocabulary, device=x.device)).to(dtype)


def check_inputs(x: Tensor, *axes: str | int, dtype: torch.dtype | None = None) -> None:
    """Refuse inputs whose axes after the batch are not these; names stand for any length but 0.

    Args:
        x: The inputs, (B, ...).
        axes: Lengths, or names, of the axes after the batch.
        dtype: Type of the parameters, which inputs must have; None for tokens.

    Raises:
        ConfigError: For inputs of another shape or type.
    """
    lengths = zip(axes, x.shape[1:], strict=False)
    if x.ndim != 1 + len(axes) or any(isinstance(w, int) and w != n for w, n in lengths):
        wanted = ", ".join(map(str, ("B", *axes)))
        raise ConfigError(f"this model reads inputs of shape ({wanted}), got {tuple(x.shape)}")
    if any(isinstance(w, str) and n == 0 for w, n in zip(axes, x.shape[1:], strict=True)):
        raise ConfigError(f"a sequence needs at least one time step, got {tuple(x.shape)}")
    if dtype is not None and x.dtype != dtype:
        raise ConfigError(
            f"inputs must have the parameters' dtype {dtype}, got {x.dtype}; convert the input or "
            "the module with .to(dtype)"
        )


def check_tokens(x: Tensor, vocabulary: int) -> None:
    """Refuse tokens outside [0, V), V being the vocabulary.

    Values are looked at where there are some and that stops nothing: on the CPU, outside of
    compilers, recorders and transforms.

    Raises:
        ConfigError: For a token outside.
    """
    hidden = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    watched = hidden or torch._C._len_torch_dispatch_stack()
    if watched or x.device.type != "cpu" or x.numel() == 0:
        return
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= vocabulary:
        raise ConfigError(
            f"tokens must be in [0, {vocabulary - 1}], got values from {low} to {high}"
        )
