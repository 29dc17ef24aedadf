"""What a monitor measures, and what it is told of every call."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from optlab.diagnostics.slopes import slopes
from optlab.optim.regularizers import is_weight


class Handle(Protocol):
    """What a registered hook leaves in the hand."""

    def remove(self) -> None:
        """Take the hook away."""
        ...


@dataclass(frozen=True)
class Call:
    """One call of one module.

    Attributes:
        name: The module's name in the watched one; the class name for the watched one itself.
        module: The module that is called.
        arguments: Its positional arguments, as they are before the call.
        keywords: Its keyword arguments.
    """

    name: str
    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @property
    def input(self) -> Tensor | None:
        """The first floating tensor among the arguments."""
        return next(tensors_in((self.arguments, self.keywords)), None)

    @cached_property
    def slopes(self) -> Tensor | None:
        """f'(z) of every element, where the module is an activation with one per element."""
        return None if self.input is None else slopes(self.module, self.input)


class Quantity:
    """One thing that a `GradientMonitor` measures; it stays on the device, nothing waits for it.

    All that happens between the monitor's beginning and its end counts as one large batch: values
    of several calls are joined as if their rows had come together.
    """

    def begin(self, modules: Mapping[str, nn.Module]) -> Collection[Handle]:
        """Get ready for passes through modules by name; return handles to remove at the end."""
        return ()

    def before(self, call: Call) -> None:
        """See a module that is about to be called."""

    def after(self, call: Call, output: Any) -> None:
        """See what it returned."""

    def values(self) -> dict[str, Tensor]:
        """Return what was measured so far: 0-d tensors by tag, in the order of execution."""
        raise NotImplementedError


def weights_of(module: nn.Module) -> list[nn.Parameter]:
    """Return what makes a module a layer: the matrices and kernels of its own.

    Among the parameters of a module with children these are called weight, as in torch; others
    (learned initial states, positions) belong to no layer. Biases, scales and shifts are left out.
    What a layer's weight is computed from (`torch.nn.utils.parametrize`) stands for it.
    """
    own = [
        p
        for name, p in module._parameters.items()
        if p is not None and ("weight" in name or not module._modules)
    ]
    computed = module._modules.get("parametrizations")
    originals = () if computed is None else computed.parameters()
    return [p for p in (*own, *originals) if is_weight(p)]


def is_layer(module: nn.Module) -> bool:
    """Return whether a module is linear, a convolution, recurrent, an embedding or the like."""
    return bool(weights_of(module))


def computes(module: nn.Module) -> bool:
    """Return whether a module is more than a container of others."""
    return bool(module._parameters) or not module._modules


def name_of(name: str, module: nn.Module) -> str:
    """Return a module's name in its tags: its own, or its class name for the watched one."""
    return name or type(module).__name__


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the floating tensors in arguments or results, however deep in tuples and the like."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def norm(tensor: Tensor) -> Tensor:
    """Return the Euclidean norm, 0-d float64: squares of vanishing gradients would round to 0."""
    length: Tensor = torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)
    return length


def when_differentiated(tensor: Tensor, see: Callable[[Tensor], None]) -> Handle:
    """Have ``see`` called with the gradient of ``tensor`` whenever a pass back computes it.

    A layer of several outputs, differentiated through one, has no gradient of the others: None.
    """

    def seen(gradient: Tensor | None) -> None:
        if gradient is not None:
            see(gradient)

    handle: Handle = tensor.register_hook(seen)  # type: ignore[no-untyped-call]
    return handle
