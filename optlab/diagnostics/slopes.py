"""The slope f'(z) of every element of an activation, optlab's own or torch's (row ACT-04)."""

import torch
from torch import Tensor, nn

#: Activations of `torch.nn` that map every element by itself. Left out are those that do not
#: (softmax and its like, GLU, attention), and RReLU, which draws its slopes anew at each call.
ELEMENTWISE_IN_TORCH = frozenset(
    {
        *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU"),
        *("LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus"),
        *("Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold"),
    }
)


def slopes(module: nn.Module, z: Tensor) -> Tensor | None:
    """Return f'(z), shaped like ``z``, without a graph; None where there is no such thing.

    That is any module that is no activation, and one whose outputs depend on several inputs:
    a unit of a softmax has a row of a Jacobian and no slope of its own. The slope of a PReLU is
    that of the trained parameter.

    Args:
        module: An activation with a ``derivative`` as in `optlab.nn.activations.Activation`, or
            one of `ELEMENTWISE_IN_TORCH`, whose formula is differentiated by autograd.
        z: Its input.
    """
    if not z.is_floating_point():
        return None
    derivative = getattr(module, "derivative", None)
    if callable(derivative):
        if not getattr(module, "elementwise", True):
            return None
        with torch.no_grad():
            found: Tensor = derivative(z.detach())
        return found
    if is_elementwise_in_torch(module):
        return _slopes_by_autograd(module, z)
    return None


def has_slopes(module: nn.Module) -> bool:
    """Return whether `slopes` knows what to do with ``module``."""
    if callable(getattr(module, "derivative", None)):
        return bool(getattr(module, "elementwise", True))
    return is_elementwise_in_torch(module)


def is_elementwise_in_torch(module: nn.Module) -> bool:
    """Return whether ``module`` is one of `ELEMENTWISE_IN_TORCH`, a subclass excluded."""
    kind = type(module)
    return kind.__module__ == "torch.nn.modules.activation" and kind.__name__ in (
        ELEMENTWISE_IN_TORCH
    )


def _slopes_by_autograd(module: nn.Module, z: Tensor) -> Tensor:
    """Differentiate the sum of the outputs, of which each depends on one input."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        # The class's own forward, which nobody watches, on a copy: it may write in place.
        total = type(module).forward(module, z.clone()).sum()
        return torch.autograd.grad(total, z)[0]
