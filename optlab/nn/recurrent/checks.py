"""What recurrent layers refuse.

Shapes: runs R, time T, batch B, inputs I, hidden H, gates G (1 without any).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError

_FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def checked_dtype(dtype: torch.dtype | None) -> torch.dtype:
    """Return the type of new parameters, torch's default type for None.

    Raises:
        ConfigError: For complex, integer and 8-bit types.
    """
    dtype = dtype or torch.get_default_dtype()
    if dtype not in _FLOATS:
        raise ConfigError(f"dtype must be one of {', '.join(map(str, _FLOATS))}, got {dtype}")
    return dtype


def check_input(x: Tensor, inputs: int, form: str, weight: Tensor) -> None:
    """Refuse an input (T, B, I) that a layer with this weight cannot take.

    Args:
        x: What was given.
        inputs: I.
        form: How to write its shape in a message.
        weight: Any parameter of the layer.
    """
    if x.ndim != 3 or x.shape[-1] != inputs:
        raise ConfigError(
            f"inputs must be of shape {form} or (T, I) with I = {inputs}, got {tuple(x.shape)}"
        )
    if x.shape[0] == 0:
        raise ConfigError(f"a sequence needs at least one time step, got {tuple(x.shape)}")
    if x.dtype != weight.dtype:
        raise ConfigError(
            f"inputs must have the parameters' dtype {weight.dtype}, got {x.dtype}; "
            "convert the input or the module with .to(dtype)"
        )
    if x.device != weight.device:
        raise ConfigError(
            f"inputs must be on the parameters' device {weight.device}, got {x.device}; "
            "move the input or the module with .to(device)"
        )


def check_states(names: Sequence[str], states: Any, wanted: tuple[int, ...], x: Tensor) -> None:
    """Refuse initial states that are not as many tensors as ``names`` of shape ``wanted``.

    Args:
        names: h0, or h0 and c0.
        states: What was given, in a tuple (or list) also where it is one.
        wanted: Shape of each.
        x: The input, whose dtype and device they must have.
    """
    several = len(names) > 1
    many = isinstance(states, tuple | list) and len(states) == len(names)
    if not many or not all(isinstance(state, Tensor) for state in states):
        form = f"the tuple ({', '.join(names)}) of tensors" if several else "one tensor"
        raise ConfigError(f"hx must be {form}, got {_kind(states if several else states[0])}")
    for name, state in zip(names, states, strict=True):
        if (state.shape, state.dtype, state.device) != (wanted, x.dtype, x.device):
            raise ConfigError(
                f"{name} must be {wanted} of {x.dtype} on {x.device} for this input, got "
                f"{tuple(state.shape)} of {state.dtype} on {state.device}"
            )


def check_operands(
    x: Tensor,
    states: Mapping[str, Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    gates: int = 1,
) -> None:
    """Refuse tensors of one direction that do not fit each other: C would read past their ends.

    Args:
        x: (R, T, B, I).
        states: Initial states by name, (R, B, H) each.
        weight_ih: (R, G*H, I).
        weight_hh: (R, G*H, H).
        bias_ih: (R, G*H), or None.
        bias_hh: (R, G*H), or None.
        lengths: (R, B) integers, or None.
        gates: G.
    """
    if x.ndim != 4 or x.shape[1] == 0:
        raise ConfigError(f"x must be of shape (R, T, B, I) with T > 0, got {tuple(x.shape)}")
    if x.dtype not in _FLOATS:
        raise ConfigError(f"x must be one of {', '.join(map(str, _FLOATS))}, got {x.dtype}")
    (runs, _, batch, inputs), hidden = x.shape, weight_hh.shape[-1]
    rows, dtype, device = gates * hidden, x.dtype, x.device
    wanted: list[tuple[str, Tensor | None, tuple[int, ...]]] = [
        *((name, state, (batch, hidden)) for name, state in states.items()),
        ("weight_ih", weight_ih, (rows, inputs)),
        ("weight_hh", weight_hh, (rows, hidden)),
        ("bias_ih", bias_ih, (rows,)),
        ("bias_hh", bias_hh, (rows,)),
        ("lengths", lengths, (batch,)),
    ]
    for name, tensor, shape in wanted:
        if tensor is None:
            continue
        if tensor.shape != (runs, *shape):
            raise ConfigError(
                f"{name} must be of shape {(runs, *shape)} here, got {tuple(tensor.shape)}"
            )
        if tensor.device != device or (tensor.dtype != dtype and tensor is not lengths):
            raise ConfigError(
                f"{name} must be {dtype} on {device} as x is, got {tensor.dtype} on {tensor.device}"
            )
    if lengths is not None and not _is_integer(lengths):
        raise ConfigError(f"lengths must be integers, got {lengths.dtype}")


def check_lengths(lengths: Any, steps: int, batch: int) -> None:
    """Refuse lengths that do not fit a padded input of ``steps`` steps and ``batch`` sequences.

    Values are looked at where that stops nothing: on the CPU, outside of compilers and transforms.

    Raises:
        ConfigError: For what is no tensor, another shape or dtype, and lengths outside [0, T].
    """
    if not isinstance(lengths, Tensor):
        raise ConfigError(
            f"lengths must be a tensor, got {_kind(lengths)}; wrap it: torch.tensor(lengths)"
        )
    if lengths.shape != (batch,) or not _is_integer(lengths):
        raise ConfigError(
            f"lengths must be ({batch},) integers, one per sequence of the batch, got shape "
            f"{tuple(lengths.shape)} of {lengths.dtype}"
        )
    hidden = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if hidden or lengths.device.type != "cpu" or batch == 0:
        return
    low, high = int(lengths.min()), int(lengths.max())
    if low < 0 or high > steps:
        raise ConfigError(f"lengths must be in [0, {steps}], got values from {low} to {high}")


def _is_integer(tensor: Tensor) -> bool:
    other = tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool
    return not other


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"one tensor {tuple(value.shape)}"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return type(value).__name__ + size
