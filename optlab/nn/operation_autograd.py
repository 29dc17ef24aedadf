"""The autograd functions of an `optlab.nn.operation.Operation`, which is ``operation`` here.

One for plain calls, one for calls inside transforms of `torch.func`, which `torch.vmap` maps by
laying its axis into the axis of runs, and one that computes gradients and has derivatives itself.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]
Arguments = tuple[Any, ...]


def has_gradient(value: Any) -> bool:
    """Return whether a value is a tensor of numbers that can move; lengths and labels cannot."""
    return isinstance(value, Tensor) and value.is_floating_point()


def pulled_back(
    function: Callable[..., Tensors],
    grads: Sequence[Tensor | None],
    arguments: Sequence[Any],
    places: Sequence[int],
) -> Tensors:
    """Return gradients in differentiable operations.

    Args:
        function: ``(*arguments) -> results``, in differentiable operations.
        grads: Gradient of each result; None stands for zeros.
        arguments: Where to take the gradients.
        places: Which of the arguments to take them for.
    """

    def results(*some: Tensor) -> Tensors:
        full = list(arguments)
        for place, tensor in zip(places, some, strict=True):
            full[place] = tensor
        return function(*full)

    outputs, pull, *_ = torch.func.vjp(results, *(arguments[i] for i in places))
    filled = (
        torch.zeros_like(output) if grad is None else grad
        for output, grad in zip(outputs, grads, strict=True)
    )
    gradients: Tensors = pull(tuple(filled))
    return gradients


def _setup(operation: Any, ctx: Any, inputs: Arguments, outputs: Tensors) -> None:
    ctx.numbers = inputs[operation.num_tensors :]
    kept = (output for i, output in enumerate(outputs) if i not in operation.unread)
    ctx.save_for_backward(*inputs[: operation.num_tensors], *kept)
    ctx.mark_non_differentiable(*outputs[operation.num_outputs :])
    ctx.set_materialize_grads(False)


def _backward(operation: Any, call: Callable[..., Tensors], ctx: Any, grads: Any) -> Any:
    saved = ctx.saved_tensors  # asked for once: checkpointing gives them away once
    pairs = zip(saved[: operation.num_tensors], ctx.needs_input_grad, strict=False)
    needed = [tensor is not None and wanted for tensor, wanted in pairs]
    if all(g is None for g in grads[: operation.num_outputs]) or not any(needed):
        return (None,) * len(ctx.needs_input_grad)
    found = call(*grads[: operation.num_outputs], *saved, *ctx.numbers, needed)
    kept = [grad if wanted else None for grad, wanted in zip(found, needed, strict=True)]
    return (*kept, *(None for _ in ctx.numbers))


def quick_function_of(operation: Any) -> Any:
    """Return the autograd function for plain calls: it costs a fifth of the one for all cases."""

    class Quick(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Any:
            outputs = operation._forward(*arguments)
            _setup(operation, ctx, arguments, outputs)
            return outputs

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            twice = torch.is_grad_enabled()
            call = operation._gradient.apply if twice else operation._backward
            return _backward(operation, call, ctx, grads)

    return Quick


def function_of(operation: Any) -> Any:
    """Return the autograd function for calls inside transforms of `torch.func`."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operation._forward(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            _setup(operation, ctx, inputs, output)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return _backward(operation, operation._gradient.apply, ctx, grads)

        @staticmethod
        def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
            return _over_stack(Function.apply, info.batch_size, in_dims, arguments)

    return Function


def gradient_of(operation: Any) -> Any:
    """Return the autograd function that computes gradients and can be differentiated itself."""
    first, past = operation.num_outputs, operation.num_outputs + operation.num_tensors

    class Gradient(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operation._backward(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.rest = [None if isinstance(value, Tensor) else value for value in inputs]
            ctx.save_for_backward(*(v if isinstance(v, Tensor) else None for v in inputs))
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx: Any, *seconds: Any) -> Any:
            inputs = [
                kept if kept is not None else other
                for kept, other in zip(ctx.saved_tensors, ctx.rest, strict=True)
            ]
            return _second_gradients(operation, inputs, seconds, first, past)

        @staticmethod
        def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
            return _over_stack(Gradient.apply, info.batch_size, in_dims, arguments)

    return Gradient


def _second_gradients(
    operation: Any, inputs: list[Any], seconds: Arguments, first: int, past: int
) -> Any:
    """Return the gradients of the inputs of `backward`, through `Operation.gradients`."""
    kept = itertools.takewhile(lambda value: isinstance(value, Tensor), inputs[past:])
    numbers = inputs[past + len(list(kept)) : -1]
    places = [i for i in range(past) if has_gradient(inputs[i])]
    tensors = [i for i in range(first, past) if has_gradient(inputs[i])]

    def gradients(*some: Tensor) -> Tensors:
        full = list(inputs)
        for place, tensor in zip(places, some, strict=True):
            full[place] = tensor
        found: Tensors = operation.gradients(full[:first], (*full[first:past], *numbers))
        return found

    found, pull, *_ = torch.func.vjp(gradients, *(inputs[i] for i in places))
    given = [seconds[i - first] for i in tensors]
    filled = tuple(
        torch.zeros_like(g) if s is None or s.numel() != g.numel() else s
        for g, s in zip(found, given, strict=True)
    )
    result: list[Any] = [None] * len(inputs)
    for place, gradient in zip(places, pull(filled), strict=True):
        result[place] = gradient
    return tuple(result)


def _over_stack(
    call: Callable[..., Any], size: int, in_dims: Sequence[Any], arguments: Arguments
) -> Any:
    """Lay a mapped axis into the axis of runs, call, and take it out again."""
    merged = [
        _merged(argument, dim, size) if isinstance(argument, Tensor) else argument
        for argument, dim in zip(arguments, in_dims, strict=True)
    ]
    outputs = call(*merged)
    # A gradient that was not wanted is an empty tensor without any axis of runs.
    whole = [output.ndim > 1 or output.numel() > 0 for output in outputs]
    taken = (o.unflatten(0, (size, -1)) if w else o for o, w in zip(outputs, whole, strict=True))
    return tuple(taken), tuple(0 if w else None for w in whole)


def _merged(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    tensor = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return tensor.flatten(0, 1)
