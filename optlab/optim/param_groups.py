"""Parameter groups of a module, for optimizers of any origin."""

import re
from typing import Any

from torch import nn

from optlab.config import ConfigError
from optlab.optim.regularizers import is_weight

#: Class names of normalization layers: BatchNorm1d, LayerNorm, RMSNorm, and others' own.
_NORM = re.compile(r"Norm(\dd)?$")


def no_decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters of ``module`` in two groups: those that decay, and those that do not.

    Users of torch seldom let everything decay: a decay of biases, and of the scales and shifts of
    normalization layers, limits what the network can compute rather than how large its weights are.
    Here they are left out by each of the three signs that people go by: fewer than two axes
    (nanoGPT, timm), a name with "bias" in it (timm, Hugging Face; this finds the two-dimensional
    ones too), and a layer whose class is called a norm (Hugging Face). Embeddings decay.

        AdamW(no_decay_groups(model, weight_decay=0.1), lr=3e-4)

    A parameter that several layers share is in one group, under its first name. Frozen parameters
    (``requires_grad=False``) are there too: an optimizer passes over what has no gradient, and one
    that is set free later is trained. Names are kept (torch's ``param_names``), so that state dicts
    can be read by name.

    Args:
        module: The model.
        weight_decay: Decay of the first group, as the optimizer means it; the second has 0.

    Returns:
        Groups called ``"decay"`` and ``"no_decay"``, each with its (name, parameter) pairs; one
        that would be empty is left out.

    Raises:
        ConfigError: When ``module`` is no `torch.nn.Module`.
    """
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"no_decay_groups takes the model, a torch.nn.Module, got {type(module).__name__}: "
            "names and layers decide what decays; write no_decay_groups(model, weight_decay=0.1)"
        )
    norms = {
        parameter
        for layer in module.modules()
        if _NORM.search(type(layer).__name__)
        for parameter in layer.parameters(recurse=False)
    }
    split: dict[bool, list[tuple[str, nn.Parameter]]] = {True: [], False: []}
    for name, parameter in module.named_parameters():
        is_bias = "bias" in name.rpartition(".")[2]
        split[is_weight(parameter) and not is_bias and parameter not in norms].append(
            (name, parameter)
        )
    groups = [
        {"name": "decay", "params": split[True], "weight_decay": weight_decay},
        {"name": "no_decay", "params": split[False], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
