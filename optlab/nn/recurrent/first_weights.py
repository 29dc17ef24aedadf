"""How the weights of recurrent layers start. Shapes: hidden H."""

from typing import Literal

import torch
from torch import Tensor

from optlab.init import Initializer, SelfInitialized, identity_, orthogonal_, uniform_fan_in_

RecurrentInit = Literal["orthogonal", "identity", "same"]

#: What fills a gate's block of weight_hh, (H, H), by name; None is the rule of all other weights.
RECURRENT_INITIALIZERS: dict[str, Initializer | None] = {
    "orthogonal": orthogonal_,
    "identity": identity_,
    "same": None,
}


@torch.no_grad()
def fill_first_weights(module: SelfInitialized) -> None:
    """Give a new module first weights, from torch's global generator (row INI-06)."""

    def fill(name: str, tensor: Tensor, other: Initializer | None) -> None:
        drawn = torch.empty(tensor.shape, dtype=torch.float32)
        tensor.copy_((other or uniform_fan_in_)(drawn))

    module.initialize_(fill)
