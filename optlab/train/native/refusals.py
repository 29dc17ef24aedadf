"""What cannot be recorded: results that follow from more than the numbers in tensors."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from optlab.compiler import NotCompiled

#: Methods that hand the numbers of a tensor to others.
_LOOKS = {"tolist", "numpy", "__array__", "__dlpack__", "__cuda_array_interface__"}

_ASKS = "it asks for the value of a tensor (an `if` on one, .item(), .numpy())"


class Guard(TorchFunctionMode):
    """Refuses what takes numbers out of tensors past all operations."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _LOOKS:
            raise NotCompiled(_ASKS)
        return func(*args, **(kwargs or {}))


def refuse(func: Any, name: str, args: Any, keywords: dict[str, Any]) -> None:
    """Refuse operations whose results follow from more than the numbers in tensors."""
    if torch.Tag.data_dependent_output in func.tags:
        raise NotCompiled(_ASKS)
    if torch.Tag.dynamic_output_shape in func.tags and not _is_plain_index(name, args):
        raise NotCompiled(f"the values of a tensor give the shape of what {func} returns")
    if torch.Tag.nondeterministic_seeded in func.tags and _drop_probability(func, args, keywords):
        raise NotCompiled(f"{func} draws from a global generator, which runs would share")


def _is_plain_index(name: str, args: Any) -> bool:
    """Return whether an operation takes elements by their numbers and not by a mask."""
    return name == "index" and all(
        t is None or t.dtype not in (torch.bool, torch.uint8) for t in args[1]
    )


def _drop_probability(func: Any, args: Any, keywords: dict[str, Any]) -> Any:
    """Return the share that attention drops, which may be none; of other operations 1."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.name == "dropout_p":
            given = args[place] if place < len(args) else argument.default_value
            return keywords.get(argument.name, given)
    return 1
