"""One run of an optlab rule, eagerly and in place: the pieces of `optlab.train.step`, quicker.

The parameters are views of one flat tensor and their gradients of another, into which backward
accumulates; the rule updates them as one tensor, through its compiled kernel where there is one
(`optlab.optim.execution`): no `functional_call`, no optimizer object.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from optlab.optim.execution import Execution
from optlab.optim.groups import GradientOptions
from optlab.optim.regularizers import Regularizer, is_weight
from optlab.optim.rule import Hyper, Rule, with_numbers
from optlab.optim.trial import require_sound
from optlab.tasks.base import Split
from optlab.train.objective import Objective
from optlab.train.run import copy_into, copy_of, load_into, state_of
from optlab.train.step import decayed, regularized

#: What a regularizer does to gradients and parameters is done before the rule sees them.
AS_THEY_ARE = GradientOptions()


class FunctionalRun:
    """A `Run` of a rule. See `optlab.train.run.Run` for the contract.

    Attributes:
        rule: The update.
        hyper: Its hyperparameters.
        blocks: The parameters as what the rule updates: one flat tensor for an elementwise rule,
            else each by itself.
        grads: Gradient of each block.
        weights: Where penalties apply in each block: a flag or a mask.
        states: State of each block.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        data: Split,
        rule: Rule,
        hyper: Hyper,
        regularizer: Regularizer,
    ) -> None:
        self.module = module
        self.objective = objective
        self.rule = rule
        self.hyper = hyper
        self.lr = hyper.lr
        self._last_hyper = hyper
        self._data = data
        self._regularizer = regularizer
        self._bare = regularizer == Regularizer()
        leaves = list(module.parameters())
        self._named = list(module.named_parameters())  # finding them takes longer than an update
        require_sound(rule, hyper, leaves)  # before tensors are laid end to end on its word
        blocks = [leaves] if rule.elementwise else [[leaf] for leaf in leaves]
        self._gradient, self.grads = _gradient_views(blocks)
        self.weights = [_weight_mask(block) for block in blocks]
        self.blocks = [_lay_flat(block) for block in blocks]
        self.states = {flat: rule.init_state(flat, hyper) for flat in self.blocks}
        self._execution = Execution("the functional engine", rule)

    @property
    def execution(self) -> str:
        """How updates are made; see `Run`."""
        return self._execution.description

    def step(self, rows: Tensor | None, lr_factor: float) -> list[Tensor]:
        """Make one update; see `Run.step`."""
        x, y = self._data.x, self._data.y
        if rows is not None:
            x, y = x.index_select(0, rows), y.index_select(0, rows)
        self._gradient.zero_()
        output = self.module(x)
        loss = self.objective.loss(output, y)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            # Before the update: the output may be a view of the parameters (`Point`).
            values = self.objective.values(loss.detach(), output.detach(), y)
            self.update(lr_factor)
        return values

    def update(self, lr_factor: float) -> None:
        """Update the parameters from the gradients as they are."""
        hyper = self.hyper
        if lr_factor != 1.0:
            hyper = hyper.with_values(lr=self.lr * lr_factor)
        self._last_hyper = hyper
        grads, params = self.grads, self.blocks
        if not self._bare:
            regularizer, weights = self._regularizer, self.weights
            grads = regularized(grads, params, weights, regularizer, len(self._data))
            pairs = zip(params, weights, strict=True)
            params = [decayed(p, weight, hyper.lr, regularizer) for p, weight in pairs]
        for flat, grad, param in zip(self.blocks, grads, params, strict=True):
            if flat.grad is not grad:
                flat.grad = grad
            if param is not flat:
                flat.copy_(param)
        self._execution.prepare(self.blocks, self.states, hyper, AS_THEY_ARE, owned=True)
        self._execution.run()

    @contextmanager
    def at_iterate(self) -> Iterator[None]:
        """Hold the iterate in the parameters; see `Run.at_iterate`."""
        if self.rule.iterate is None:
            yield
            return
        here = [flat.clone() for flat in self.blocks]
        with torch.no_grad():
            for flat, state in self.states.items():
                numbers = with_numbers(state, self.rule)
                flat.copy_(self.rule.iterate(flat, numbers, self._last_hyper))
        try:
            yield
        finally:
            with torch.no_grad():
                for flat, point in zip(self.blocks, here, strict=True):
                    flat.copy_(point)

    def gradients(self) -> dict[str, Tensor]:
        """Return the last gradients by name; see `Run.gradients`."""
        return {name: p.grad for name, p in self._named if p.grad is not None}

    def snapshot(self) -> dict[str, Tensor]:
        """Copy weights and buffers; see `Run.snapshot`."""
        return copy_of(self.module)

    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Put weights and buffers back; see `Run.restore`."""
        copy_into(self.module, snapshot)

    def state(self) -> dict[str, Any]:
        """Return all that changes; see `Run.state`."""
        states = [dict(self.states[block]) for block in self.blocks]
        return {
            "module": state_of(self.module),
            "optimizer": states,
            "lr": float(self._last_hyper.lr),
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; see `Run.load`. Tensors stay where they lie: kernels know them."""
        load_into(self.module, state["module"])
        for block, saved in zip(self.blocks, state["optimizer"], strict=True):
            own = self.states[block]
            for name, value in saved.items():
                own[name].copy_(value)
        self._last_hyper = self.hyper.with_values(lr=state["lr"])


def _lay_flat(block: list[nn.Parameter]) -> Tensor:
    """Move the block's parameters into one flat tensor and make them views of it."""
    if len(block) == 1:
        return block[0].data
    flat = torch.cat([p.detach().reshape(-1) for p in block])
    for p, view in zip(block, _views(flat, block), strict=True):
        p.data = view
    return flat


def _gradient_views(blocks: list[list[nn.Parameter]]) -> tuple[Tensor, list[Tensor]]:
    """Give every parameter a view of one zero tensor as its gradient.

    Returns:
        That tensor, and its part for each block.
    """
    leaves = [leaf for block in blocks for leaf in block]
    whole = torch.cat([torch.zeros_like(leaf).reshape(-1) for leaf in leaves])
    for leaf, view in zip(leaves, _views(whole, leaves), strict=True):
        leaf.grad = view
    if len(blocks) == 1 and len(leaves) > 1:
        return whole, [whole]
    return whole, [leaf.grad for leaf in leaves if leaf.grad is not None]


def _views(flat: Tensor, block: list[nn.Parameter]) -> list[Tensor]:
    parts = torch.split(flat, [p.numel() for p in block])
    return [part.view_as(p) for part, p in zip(parts, block, strict=True)]


def _weight_mask(block: list[nn.Parameter]) -> Tensor | bool:
    """Return where penalties and decay apply: a flag for one parameter, else a flat mask."""
    if len(block) == 1:
        return is_weight(block[0])
    masks = [torch.full((p.numel(),), is_weight(p), device=p.device) for p in block]
    return torch.cat(masks)
