"""A layer's computation with a backward pass of its own, wherever PyTorch may take it.

Such an `Operation` works under autograd (twice, too), `torch.func.grad` and `torch.vmap` (a stack
of layers, each with its own weights), `torch.compile` (as one node: loops inside are not unrolled)
and all of these together; not under forward-mode derivatives (`torch.func.jvp`). Inside a compiled
graph a second derivative is that of the reference, whose loops are unrolled.

Shapes: runs R of a stack; every tensor has that axis in front.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.nn.operation_autograd import (
    Arguments,
    Tensors,
    function_of,
    gradient_of,
    has_gradient,
    pulled_back,
    quick_function_of,
)

_library = torch.library.Library("optlab", "FRAGMENT")  # type: ignore[no-untyped-call]
_known: dict[str, "Operation"] = {}
_computed: dict[str, Callable[..., Any]] = {}


class Operation:
    """A function of tensors, and its vector-Jacobian product, both written by hand.

    All tensors, in and out, have an axis of R runs in front, which `forward` and `backward`
    compute independently of each other. Both are opaque to PyTorch, so they may loop, write in
    place and call compiled code, but they return new tensors only, never an input or its view.

    Args:
        name: Its name among PyTorch's operators, after ``optlab::``.
        forward: ``(*tensors, *numbers) -> outputs``, annotated as `torch.library.infer_schema`
            wants it; the return annotation is a tuple of tensors, of one too. The first
            ``num_outputs`` are results, the others are kept for ``backward`` only.
        backward: ``(*grads, *tensors, *outputs, *numbers, needed) -> gradients``, with a gradient
            or None for each result, the outputs but those in ``unread``, and a flag per tensor that
            says whether its gradient is wanted; where it is not, ``tensor.new_empty(0)`` will do.
        shapes: What ``forward`` does to shapes, dtypes and strides: the same arguments, new tensors
            of any content.
        reference: ``(*tensors, *numbers) -> results`` in plain differentiable operations; it gives
            derivatives beyond the first.
        num_tensors: How many of the arguments are tensors (or None); they come first.
        num_outputs: How many of ``forward``'s outputs are results.
        unread: Numbers of the results that ``backward`` does not read and is not given: they are
            not kept for it, and whoever has them may write over them.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Tensors],
        backward: Callable[..., Tensors],
        shapes: Callable[..., Tensors],
        reference: Callable[..., Tensors],
        num_tensors: int,
        num_outputs: int = 1,
        unread: Collection[int] = (),
    ) -> None:
        self.name, self.reference = name, reference
        self.num_tensors, self.num_outputs, self.unread = num_tensors, num_outputs, unread
        self._forward = _operator(name, forward, shapes)
        self._backward = _operator(f"{name}_backward", backward, self._shapes_of_gradients)
        self._function, self._gradient = function_of(self), gradient_of(self)
        self._quick = quick_function_of(self)
        _known[name] = self

    def __call__(self, *arguments: Any) -> Tensors:
        """Return the results for tensors (with the axis R, or None) and numbers."""
        if torch.compiler.is_compiling():
            # Imported while the compiler traces this line: it makes the call one node of a graph.
            from optlab.nn.compiled_call import call

            results: Tensors = call(self.name, *arguments)
            return results
        return self.apply(*arguments)

    def apply(self, *arguments: Any) -> Tensors:
        """Do what a call does, where no compiler is looking."""
        if torch._C._are_functorch_transforms_active():
            outputs = self._function.apply(*arguments)
        else:
            outputs = self._quick.apply(*arguments)
        results: Tensors = outputs[: self.num_outputs]
        return results

    def gradients(self, grads: Sequence[Tensor | None], arguments: Arguments) -> Tensors:
        """Return the gradients of the tensors that have one, in differentiable operations.

        Args:
            grads: Gradient of each result, or None.
            arguments: Arguments of the call.
        """
        places = [i for i in range(self.num_tensors) if has_gradient(arguments[i])]
        return pulled_back(self.reference, grads, arguments, places)

    @property
    def implementations(self) -> dict[str, Callable[..., Any]]:
        """What its two operators compute, by their names."""
        return {name: _computed[name] for name in (self.name, f"{self.name}_backward")}

    def _shapes_of_gradients(self, *arguments: Any) -> Tensors:
        tensors = arguments[self.num_outputs :][: self.num_tensors]
        needed = arguments[-1]
        filler = next(t for t in tensors if t is not None)
        return tuple(
            torch.empty_like(t, memory_format=torch.contiguous_format)
            if wanted
            else filler.new_empty(0)
            for t, wanted in zip(tensors, needed, strict=True)
        )


def known_operations() -> Collection[str]:
    """Return the names of all operations."""
    return _known.keys()


def operation_named(name: str) -> Operation:
    """Return the operation called ``name``."""
    return _known[name]


def _operator(name: str, function: Callable[..., Tensors], shapes: Callable[..., Tensors]) -> Any:
    """Enter a function among PyTorch's operators, for every device."""
    arguments, _, returned = torch.library.infer_schema(function, mutates_args=()).partition("->")
    lone = returned.strip() == "((Tensor))"  # which a compiler would take for a nested tuple
    real, fake = (_first_of(function), _first_of(shapes)) if lone else (function, shapes)
    _computed[name] = real
    _library.define(f"{name}{arguments}->{' Tensor' if lone else returned}")  # type: ignore[no-untyped-call]
    _library.impl(name, real, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"optlab::{name}", fake, lib=_library)
    operator = getattr(torch.ops.optlab, name).default
    return (lambda *given: (operator(*given),)) if lone else operator


def _first_of(function: Callable[..., Tensors]) -> Callable[..., Tensor]:
    return lambda *arguments: function(*arguments)[0]
