"""Units that do what another unit does, and learn what it learns (course notes, INI-02, INI-03)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

import functools
from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from optlab.diagnostics.quantity import Handle, is_layer, name_of
from optlab.diagnostics.weight_gradients import ParameterGradients

#: Largest difference between equal units beside the root mean square of the layer's units: sums of
#: gradients taken in another order differ by less, random weights by 10,000 times as much.
TOLERANCE = 1e-4

#: The tensors of one set of units, and how many units these are.
Units = tuple[list[nn.Parameter], int]


class SymmetricUnits(ParameterGradients):
    """Records ``symmetric/<layer>``, the share of units that are copies of another one.

    Copies have the same incoming weights and bias, and the same gradients of them: they stay
    copies. Without a pass back weights alone are compared. Layers that start from zeros or a
    constant have 1, from random weights 0. A unit is an output of a linear layer, a channel of a
    convolution, or a hidden unit with all its gates. The look-ups of an embedding are none.

    Units are compared by two numbers, their projections on two random directions, and only with
    their neighbours in the order of the first: H log H, not H squared. That two different units
    agree in both is as likely as H * `TOLERANCE` squared.
    """

    def begin(self, modules: Mapping[str, nn.Module]) -> Collection[Handle]:
        sets = {name_of(name, module): units_of(module) for name, module in modules.items()}
        self._sets = {name: found for name, found in sets.items() if found}
        tensors = (tensors for found in self._sets.values() for tensors, _ in found)
        return self.watch({p: None for own in tensors for p in own})

    @torch.no_grad()
    def values(self) -> dict[str, Tensor]:
        found = {}
        for name, sets in self._sets.items():
            copies = torch.stack([self._copies(*units) for units in sets]).sum()
            found[f"symmetric/{name}"] = copies / sum(count for _, count in sets)
        return found

    def _copies(self, tensors: list[nn.Parameter], count: int) -> Tensor:
        """Return how many of the units are copies, 0-d float64."""
        gradients = [self.gradients[p] for p in tensors if p in self.gradients]
        parts = [
            projected(tensor, count, salt)
            for salt, tensor in enumerate((*(p.detach() for p in tensors), *gradients))
        ]
        seen = functools.reduce(torch.add, parts)
        order = torch.sort(seen[:, 0]).indices
        ordered = seen.index_select(0, order)
        steps = (ordered[1:] - ordered[:-1]).abs()
        alike = (steps[:, 0] < TOLERANCE) & (steps[:, 1] < TOLERANCE)
        none = torch.zeros_like(alike[:1])
        return (torch.cat([alike, none]) | torch.cat([none, alike])).sum().to(torch.float64)


def units_of(module: nn.Module) -> list[Units]:
    """Return the sets of units of a layer with what each computes from; none for other modules."""
    own = {name: p for name, p in module._parameters.items() if p is not None and p.requires_grad}
    if not is_layer(module) or hasattr(module, "num_embeddings"):
        return []
    hidden = getattr(module, "hidden_size", None)
    if isinstance(hidden, int):
        return _hidden_units(own, hidden)
    weight = own.get("weight")
    if weight is None or weight.ndim < 2 or getattr(module, "transposed", False):
        return []
    count = len(weight)
    tensors = [p for p in (weight, own.get("bias")) if p is not None and len(p) == count]
    return [(tensors, count)] if count > 1 else []


def _hidden_units(own: Mapping[str, nn.Parameter], hidden: int) -> list[Units]:
    """Return the units of each layer and direction, by the ends of the names: ``..._l0``."""
    ends: dict[str, list[nn.Parameter]] = {}
    for name, p in own.items():
        if len(p) % hidden == 0 and name.startswith(("weight_ih", "weight_hh", "bias_ih")):
            ends.setdefault(name[len("weight_ih") :].lstrip("_"), []).append(p)
    return [(tensors, hidden) for tensors in ends.values()] if hidden > 1 else []


def projected(tensor: Tensor, count: int, salt: int) -> Tensor:
    """Return two numbers of each unit, (H, 2) float64, in root mean squares of the units' norms.

    Args:
        tensor: Rows of the units, H or (gates of all units one after another) a multiple of them.
        count: Units H.
        salt: Other directions for other tensors, which might be each other's negatives.
    """
    rows = tensor.reshape(-1, count, tensor[0].numel()).movedim(0, 1).flatten(1)
    size = torch.linalg.vector_norm(rows, dtype=torch.float64) / count**0.5
    # A layer of zeros keeps its zeros.
    size = torch.where(size > 0, size, 1.0)
    return (rows @ directions(rows.shape[1], salt).to(rows)).to(torch.float64) / size


@functools.lru_cache(maxsize=64)
def directions(length: int, salt: int) -> Tensor:
    """Return two random directions, always the same, (length, 2)."""
    drawn = np.random.default_rng((length, salt)).standard_normal((length, 2))
    return torch.from_numpy(drawn.astype(np.float32))
