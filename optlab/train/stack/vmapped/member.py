"""One run of a stack, seen between updates."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from optlab.train.parts import Parts
from optlab.train.run import copy_into, copy_of, load_into, state_of
from optlab.train.stack.vmapped.block import Block
from optlab.train.stack.vmapped.refusal import rule_of
from optlab.train.step import States, Tensors


class StackedRun:
    """A `Member` whose module shows a place of a block; see `optlab.train.stack.Member`."""

    def __init__(self, parts: Parts) -> None:
        chosen = rule_of(parts)
        self.module = parts.module
        self.objective = parts.objective
        self.lr: float = chosen.hyper.lr
        self.lr_factor = 1.0
        self._rule, self._hyper = chosen.make.rule, chosen.hyper
        self._states: Callable[[], States] = dict
        self._grads: Callable[[], Tensors] = dict
        self._load_states: Callable[[States], None]

    def show(self, block: Block, place: int) -> None:
        """Show the run at a place of a block: tensors become views, and follow its updates."""
        weights = {name: value[place] for name, value in block.tensors.params.items()}
        buffers = {name: value[place] for name, value in block.tensors.buffers.items()}
        _set(self.module, weights, buffers)
        self._states = functools.partial(block.state_at, place)
        self._grads = functools.partial(block.grads_at, place)
        self._load_states = functools.partial(block.load_states, place)

    def leave(self) -> None:
        """Keep copies of what is shown, which no update of the stack changes any more."""
        weights = {name: p.detach().clone() for name, p in self.module.named_parameters()}
        buffers = {name: b.clone() for name, b in self.module.named_buffers()}
        _set(self.module, weights, buffers)
        states, grads = tree_map_only(Tensor, Tensor.clone, (self._states(), self._grads()))
        self._states, self._grads = lambda: states, lambda: grads

    @contextmanager
    def at_iterate(self) -> Iterator[None]:
        """Hold the iterate in the parameters; see `Member.at_iterate`."""
        iterate = self._rule.iterate
        if iterate is None:
            yield
            return
        params = {name: p.data for name, p in self.module.named_parameters()}
        here = {name: p.clone() for name, p in params.items()}
        hyper, states = self._hyper.with_values(lr=self.lr * self.lr_factor), self._states()
        for name, param in params.items():
            param.copy_(iterate(here[name], states[name], hyper))
        try:
            yield
        finally:
            for name, param in params.items():
                param.copy_(here[name])

    def gradients(self) -> Mapping[str, Tensor]:
        """Return the last gradients by name; see `Member.gradients`."""
        return self._grads()

    def snapshot(self) -> dict[str, Tensor]:
        """Copy weights and buffers; see `Member.snapshot`."""
        return copy_of(self.module)

    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Put weights and buffers back; see `Member.restore`."""
        copy_into(self.module, snapshot)

    def state(self) -> dict[str, Any]:
        """Return all that changes; see `Member.state`."""
        return {"module": state_of(self.module), "optimizer": self._states(), "lr": self.lr_factor}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; see `Member.load`."""
        load_into(self.module, state["module"])
        self._load_states(state["optimizer"])
        self.lr_factor = state["lr"]


def _set(module: nn.Module, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
    """Make tensors a module's parameters and buffers; parameters stay the objects they are."""
    for name, param in module.named_parameters():
        param.data = params[name]
    for name, value in buffers.items():
        owner, _, own_name = name.rpartition(".")
        setattr(module.get_submodule(owner), own_name, value)
