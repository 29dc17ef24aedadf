"""The quick way into the kernels of a layer that stands alone: one run, called plainly.

A layer of a few thousand numbers takes less time than PyTorch takes to watch it. Views that add
the axis of runs, the operator's dispatch and its autograd nodes are left out here; whoever needs
them (transforms, compilers, modes) is served by the layer's `Operation`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from optlab.nn.operation_autograd import Tensors, pulled_back

# Asked at each call of a layer, and found quicker here than through their modules.
_transforms_active = torch._C._are_functorch_transforms_active
_num_modes = torch._C._len_torch_dispatch_stack
_is_legacy_batch = torch._C._functorch.is_legacy_batchedtensor


def is_alone(x: Tensor, *others: Tensor | None) -> bool:
    """Return whether nothing but autograd looks at what is done to ``x`` and others.

    They must hold their numbers as they are; a negative view holds them with the other sign.

    Args:
        x: What a layer is called with.
        others: What it is computed with, parameters most often (which are no such views).
    """
    return not (
        torch.compiler.is_compiling()
        or _transforms_active()
        or _num_modes()
        or forward_ad._current_level >= 0
        or (type(x) is not Tensor and type(x) is not nn.Parameter)
        or x.is_neg()
        or (others and not all(map(is_plain, others)))
    )


def is_plain(tensor: Tensor | None) -> bool:
    """Return whether a tensor that is none of a layer's own is one of numbers as they are."""
    kind = type(tensor)
    return kind is nn.Parameter or tensor is None or (kind is Tensor and not tensor.is_neg())


def parameter_of(module: nn.Module, name: str) -> Tensor | None:
    """Return ``module.name``, in a fraction of the time of an attribute.

    One that is computed from others (`torch.nn.utils.parametrize`) is not in the table.
    """
    table = module._parameters
    found: Tensor | None = table[name] if name in table else getattr(module, name)
    return found


def lone(
    forward: Callable[..., Tensors],
    backward: Callable[..., tuple[Tensor | None, ...]],
    plain: Callable[..., Tensor],
    num_tensors: int,
) -> Callable[..., Tensors]:
    """Return a function that autograd can differentiate any number of times.

    Args:
        forward: ``(*tensors, *numbers) -> (result, *kept)``; kernels, on tensors as the layer has
            them. What is kept has no gradient. No output is a view: autograd lets nobody write to a
            view that a function of its own returns.
        backward: ``(grad, *tensors, *kept, *numbers, needed) -> gradients``, None where a gradient
            does not exist or is not needed.
        plain: ``(*tensors, *numbers) -> result`` in differentiable operations, for derivatives
            beyond the first and for many at once.
        num_tensors: How many of the arguments are tensors (or None); they come first.
    """
    function = _function_of(forward, backward, plain, num_tensors)

    def call(*arguments: Any) -> Tensors:
        if not torch.is_grad_enabled():
            return forward(*arguments)
        outputs: Tensors = function.apply(*arguments)
        return outputs

    return call


def _function_of(
    forward: Callable[..., Tensors],
    backward: Callable[..., tuple[Tensor | None, ...]],
    plain: Callable[..., Tensor],
    num_tensors: int,
) -> Any:
    """Return the autograd function of `lone`."""

    class Lone(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Any:
            outputs = forward(*arguments)
            ctx.numbers = arguments[num_tensors:]
            ctx.save_for_backward(*arguments[:num_tensors], *outputs[1:])
            ctx.mark_non_differentiable(*outputs[1:])
            ctx.set_materialize_grads(False)
            return outputs

        @staticmethod
        def backward(ctx: Any, grad: Any, *_: Any) -> Any:
            needed, nothing = ctx.needs_input_grad, (None,) * len(ctx.numbers)
            if grad is None:
                return (None,) * len(needed)
            saved = ctx.saved_tensors
            if torch.is_grad_enabled() or _is_batched(grad):
                arguments = (*saved[:num_tensors], *ctx.numbers)
                places = [i for i in range(num_tensors) if needed[i]]
                pulled = pulled_back(lambda *a: (plain(*a),), (grad,), arguments, places)
                by_place = dict(zip(places, pulled, strict=True))
                found = tuple(by_place.get(i) for i in range(num_tensors))
            else:
                # Neither negated nor zeros that are nowhere.
                grad = grad.clone() if grad.is_neg() or grad._is_zerotensor() else grad
                found = backward(grad, *saved, *ctx.numbers, needed)
            return (*found, *nothing)

    return Lone


def _is_batched(grad: Tensor) -> bool:
    """Return whether ``grad`` stands for many gradients, as in a vectorized Jacobian."""
    legacy: bool = _is_legacy_batch(grad)
    return legacy or _transforms_active()
