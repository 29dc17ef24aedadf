"""Looks into any module while it runs forward and backward, and changes nothing in it."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

from torch import Tensor, nn

from optlab.diagnostics.batchnorm_drift import BatchNormDrift
from optlab.diagnostics.dead_units import DeadUnits
from optlab.diagnostics.gates import GateSaturation
from optlab.diagnostics.lag_gradients import LagGradients
from optlab.diagnostics.nonfinite import NonFinite
from optlab.diagnostics.preactivation_gradients import PreactivationGradients
from optlab.diagnostics.quantity import Call, Quantity, computes, name_of
from optlab.diagnostics.saturation import Saturation
from optlab.diagnostics.symmetric_units import SymmetricUnits
from optlab.diagnostics.weight_gradients import GradientRatio, WeightGradients

#: What a monitor measures unless told otherwise.
QUANTITIES: tuple[type[Quantity], ...] = (
    WeightGradients,
    PreactivationGradients,
    GradientRatio,
    Saturation,
    DeadUnits,
    GateSaturation,
    SymmetricUnits,
    BatchNormDrift,
    LagGradients,
    NonFinite,
)


class GradientMonitor:
    """Measures what happens inside a module between ``with`` and its end.

    ::

        with GradientMonitor(module) as monitor:
            loss(module(x)).backward()
        monitor.values()  # {"preactivation_gradient/hidden.0.linear": tensor(...), ...}

    It serves any module, also of other libraries, under ``backward`` and `torch.autograd.grad`,
    and leaves outputs and gradients bit for bit as they are. It watches calls of ``forward``
    itself, because a model may call a layer's ``forward`` past torch's hooks, and gradients
    through hooks on tensors, which allow writing in place where torch's hooks on modules do not.
    What runs inside a compiled or scripted graph it does not see.

    Course notes, rows GRD-01 to GRD-03, GRD-09, ACT-04, RNN-13.

    Args:
        module: What to watch, with all its submodules.
        quantities: What to measure; one of each of `QUANTITIES` if None.
    """

    def __init__(self, module: nn.Module, quantities: Collection[Quantity] | None = None) -> None:
        self.module = module
        self.quantities = tuple(
            [quantity() for quantity in QUANTITIES] if quantities is None else quantities
        )
        self._active: set[str] = set()
        self._begun = False

    def __enter__(self) -> Self:
        self._begun = True
        modules = {name: part for name, part in self.module.named_modules() if computes(part)}
        with ExitStack() as stack:
            for quantity in self.quantities:
                for handle in quantity.begin(modules):
                    stack.callback(handle.remove)
            for name, module in modules.items():
                call = partial(self._call, name_of(name, module), module)
                stack.callback(_put_before(module, call))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def values(self) -> dict[str, Tensor]:
        """Return all that was measured so far: 0-d tensors by tag, still on the device."""
        if not self._begun:
            return {}
        return {tag: v for quantity in self.quantities for tag, v in quantity.values().items()}

    def _call(
        self,
        name: str,
        module: nn.Module,
        method: Callable[..., Any],
        *arguments: Any,
        **keywords: Any,
    ) -> Any:
        """Call a method of a module and tell every quantity."""
        if name in self._active:  # it calls itself, on another shape for instance
            return method(*arguments, **keywords)
        call = Call(name, module, arguments, keywords)
        self._active.add(name)
        try:
            for quantity in self.quantities:
                quantity.before(call)
            output = method(*arguments, **keywords)
            for quantity in self.quantities:
                quantity.after(call, output)
        finally:
            self._active.discard(name)
        return output


def _put_before(module: nn.Module, call: Callable[..., Any]) -> Callable[[], object]:
    """Make ``module.forward(...)`` mean ``call(forward, ...)``; return what undoes it."""
    own, method = vars(module), module.forward
    had = "forward" in own
    own["forward"] = partial(call, method)
    return partial(own.__setitem__, "forward", method) if had else partial(own.pop, "forward")
