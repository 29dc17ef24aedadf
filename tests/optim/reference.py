"""What an optimizer class promises, in the plainest and slowest way: the reference of the tests.

`Reference` applies a rule eagerly to one tensor after the other, with Python numbers for scalars.
It shares no code with the drivers; `lockstep` feeds both with the same gradients.

A class gives the bits of the eager operations, or those that IEEE 754 gives the same operations:
the square roots of PyTorch on the CPU may be MKL's, of which one in ten is off by the last bit.
"""

import functools
import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from optlab.optim import Hyper, RuleOptimizer


class CorrectRoots(TorchFunctionMode):
    """Inside, square roots are rounded as IEEE 754 asks."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.sqrt, Tensor.sqrt) and args[0].dtype in (torch.float32, torch.float64):
            return torch.from_numpy(np.asarray(np.sqrt(args[0].detach().numpy())))
        return func(*args, **(kwargs or {}))


class Reference:
    """The update of an optimizer class; has of an optimizer what a training needs.

    Args:
        make: The class.
        params: Parameters, or groups of them.
        correct: Round square roots correctly, not as PyTorch does here.
        options: Options of the class.
    """

    def __init__(
        self,
        make: type[RuleOptimizer],
        params: Iterable[Tensor] | list[dict[str, Any]],
        correct: bool = False,
        **options: Any,
    ) -> None:
        signature = inspect.signature(make).parameters
        self.defaults = {name: p.default for name, p in signature.items() if name != "params"}
        self.defaults.update(options)
        self.rule, self.param_groups = make.rule, list[dict[str, Any]]()
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self._correct = correct
        groups = list(params)
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        self.param_groups.append({**self.defaults, **group, "params": list(group["params"])})

    def zero_grad(self, set_to_none: bool = True) -> None:
        for param in (p for group in self.param_groups for p in group["params"]):
            if set_to_none or param.grad is None:
                param.grad = None
            else:
                param.grad = torch.zeros_like(param.grad)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            hyper = unpacked(self.rule.hyper, group)
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, param.grad, group, hyper)

    @torch.no_grad()
    def follow(self, param: Tensor, other: "Reference", twin: Tensor) -> None:
        """Take the value and the state of another reference's parameter."""
        if other is not self:
            param.copy_(twin)
            state = other.state[twin].items()
            self.state[param] = {n: v.clone() if isinstance(v, Tensor) else v for n, v in state}

    def _update(self, param: Tensor, grad: Tensor, group: Mapping[str, Any], hyper: Hyper) -> None:
        state = self.state[param]
        half = param.dtype in (torch.float16, torch.bfloat16)
        p, g = (t.detach().float() if half else t.detach() for t in (param, grad))
        # What an option asks for only now begins now.
        for name, value in self.rule.init_state(p, hyper).items():
            state.setdefault(name, value.item() if name in self.rule.scalars else value)
        if not self.rule.elementwise:
            # Products of matrices need one dtype, which a module may have changed meanwhile.
            p, g, state = in_one_dtype(p, g, state)
        g = -g if group["maximize"] else g
        decay = 0.0 if hasattr(hyper, "weight_decay") else group["weight_decay"]
        if decay and group["decoupled_weight_decay"]:
            p = p * (1 - hyper.lr * decay)
        elif decay:
            g = g + decay * p
        with CorrectRoots() if self._correct else nullcontext():
            new, changed = self.rule.update(g, p, state, hyper)
        param.copy_(new)
        for name, value in changed.items():
            # Entries keep the dtype and the strides with which they began.
            kept = self.state[param][name]
            is_number = name in self.rule.scalars
            self.state[param][name] = value if is_number else torch.empty_like(kept).copy_(value)


def in_one_dtype(
    p: Tensor, g: Tensor, state: Mapping[str, Any]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    kinds = (value.dtype for value in state.values() if isinstance(value, Tensor))
    widest = functools.reduce(torch.promote_types, kinds, p.dtype)
    wide = {n: v.to(widest) if isinstance(v, Tensor) else v for n, v in state.items()}
    return p.to(widest), g.to(widest), wide


def unpacked(hyper: type[Hyper], group: Mapping[str, Any]) -> Hyper:
    """Return the hyperparameters that a group holds; tensors count as their values."""
    values = {f.name: group[f.name] for f in fields(hyper) if f.name in group}
    for name, members in hyper.PACKED.items():
        values.update(zip(members, group[name], strict=True))
    return hyper(**{n: v.item() if isinstance(v, Tensor) else v for n, v in values.items()})


def same_tensor(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors have one dtype and the same values; NaN equals NaN."""
    return a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())


def differences(optimizer: Any, param: Tensor, reference: Reference, twin: Tensor) -> list[str]:
    """Return what of a parameter and its state is not as in the reference."""
    state, expected = optimizer.state.get(param, {}), reference.state.get(twin, {})
    if set(state) != set(expected):
        return [f"entries {sorted(state)}, expected {sorted(expected)}"]
    pairs = {"parameter": (param, twin)}
    for name, value in expected.items():
        number = torch.tensor(value, dtype=state[name].dtype) if isinstance(value, float) else value
        pairs[name] = (state[name], number)
    return [
        f"{name} by {(a.double() - b.double()).abs().max().item():.3g}, {a.dtype} and {b.dtype}"
        for name, (a, b) in pairs.items()
        if not same_tensor(a, b)
    ]
