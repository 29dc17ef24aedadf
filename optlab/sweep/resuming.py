"""Whether a checkpoint is one of these very runs, made by this very code."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import optlab
from optlab.build import resolve_device
from optlab.compiler import c_compiler
from optlab.environment import code_digest, device_name

#: What every checkpoint holds beside the state of the runs.
HELD = ("origin", "records", "judge", "started", "elapsed_s", "updates", "state")


#: Entries of an origin that are told with what they were and are.
UNDER = {
    "torch": "PyTorch",
    "optlab": "optlab",
    "compiler": "the C compiler",
    "device": "the device",
}


def origin_of(execution: str, configs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what the last bits of a training depend on beside its configuration.

    Args:
        execution: How updates are made.
        configs: Configurations of its runs, which name modules of others.
    """
    device = resolve_device(configs[0]["device"])
    return {
        "device": "cpu" if device.type == "cpu" else device_name(str(device)),
        "optlab": optlab.__version__,
        "code": code_digest(_modules(configs)),
        "torch": str(torch.__version__),
        "compiler": c_compiler(),
        "execution": execution,
    }


def refusal(content: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    """Say why a training of some origin cannot go on from a checkpoint, or nothing."""
    for key in HELD:
        if key not in content:
            return f"it is not whole: it has no {key!r}"
    found = content["origin"]
    for key, what in UNDER.items():
        if found.get(key) != origin[key]:
            return f"it was written under {what} {found.get(key)}, this is {origin[key]}"
    if found.get("code") != origin["code"]:
        return "it was written by other code: optlab or a plugin has changed since"
    if (was := found.get("execution")) != origin["execution"]:
        return f"its updates were made by {was!r}, now by {origin['execution']!r}"
    if origin.get("weights") == "best" != found.get("weights"):
        return "it was written without the best weights, which sweep.checkpoint=best asks for now"
    return ""


def _modules(configs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the modules of others that configurations name, and that were imported."""
    named = {name for config in configs for name in config.get("plugins") or ()}
    targets = (str(config["optimizer"].get("target", "")) for config in configs)
    named |= {target.rpartition(".")[0] for target in targets}
    is_own = {name for name in named if name in sys.modules and name.partition(".")[0] != "torch"}
    return tuple(sorted(is_own))
