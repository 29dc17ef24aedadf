"""Whether a checkpoint is one of these very runs, made by this very code."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

import optlab
from optlab.compiler import c_compiler
from optlab.environment import code_digest


def origin_of(execution: str, plugins: Sequence[str]) -> dict[str, str]:
    """Return what the last bits of a training depend on beside its configuration.

    Args:
        execution: How updates are made.
        plugins: Modules that were imported for it.
    """
    return {
        "optlab": optlab.__version__,
        "code": code_digest(tuple(plugins)),
        "torch": str(torch.__version__),
        "compiler": c_compiler(),
        "execution": execution,
    }


def refusal(content: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    """Say why a training of some origin cannot go on from a checkpoint, or nothing."""
    found = content["origin"]
    for key, what in (("torch", "PyTorch"), ("optlab", "optlab"), ("compiler", "the C compiler")):
        if found[key] != origin[key]:
            return f"it was written under {what} {found[key]}, this is {origin[key]}"
    if found["code"] != origin["code"]:
        return "it was written by other code: optlab or a plugin has changed since"
    if found["execution"] != origin["execution"]:
        return f"its updates were made by {found['execution']!r}, now by {origin['execution']!r}"
    return ""
