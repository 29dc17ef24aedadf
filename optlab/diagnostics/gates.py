"""Share of gate values that are nearly shut or nearly open (course notes, rows ACT-04, LST-03)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from optlab.diagnostics.quantity import Call, Quantity
from optlab.diagnostics.saturation import FLAT


class Activities(Protocol):
    """Values of gates, in [0, 1], of any shape; the new information g is no gate."""

    i: Tensor
    f: Tensor
    o: Tensor


class Gated(Protocol):
    """A layer that can say what its gates do; `optlab.nn.recurrent.lstm.LSTM` is one."""

    def gate_activities(self, *arguments: Any) -> Activities:
        """Return what the gates let through for the arguments of a call."""
        ...


class GateSaturation(Quantity):
    """Records ``gate_saturated/<layer>.<gate>``, the share of values within `FLAT` of 0 or 1.

    The gates are i, f and o, all layers and directions of a module together. A gate that is stuck
    passes no gradient on to its own weights; an open forget gate carries the cell's gradient all
    the same. Sequences of different lengths in one batch are left out: past their ends there are
    no gates to count.
    """

    def __init__(self) -> None:
        self._stuck: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @torch.no_grad()
    def before(self, call: Call) -> None:
        if callable(getattr(call.module, "gate_activities", None)) and not _has_lengths(call):
            activities = cast(Gated, call.module).gate_activities(*call.arguments, **call.keywords)
            for gate in ("i", "f", "o"):
                self._add(f"{call.name}.{gate}", getattr(activities, gate))

    def values(self) -> dict[str, Tensor]:
        shares = (
            (n, stuck.to(torch.float64) / self._counts[n]) for n, stuck in self._stuck.items()
        )
        return {f"gate_saturated/{name}": share for name, share in shares}

    def _add(self, name: str, value: Tensor) -> None:
        stuck = ((value < FLAT) | (value > 1 - FLAT)).sum()
        known = self._stuck.get(name)
        self._stuck[name] = stuck if known is None else known + stuck
        self._counts[name] = self._counts.get(name, 0) + value.numel()


def _has_lengths(call: Call) -> bool:
    """Return whether a call is of a packed batch, or of a padded one with its lengths."""
    lengths = call.keywords.get("lengths", *call.arguments[2:3])
    return lengths is not None or isinstance(next(iter(call.arguments), None), PackedSequence)
