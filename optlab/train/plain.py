"""One run of any module under any `torch.optim.Optimizer`: the loop everybody writes by hand."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from optlab.optim.regularizers import Regularizer, is_weight, l1_penalty, l2_penalty
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.tasks.base import Split
from optlab.train.objective import Objective
from optlab.train.run import copy_into, copy_of
from optlab.train.step import decayed, regularized


class PlainRun:
    """A `Run` of a module and an optimizer object. See `optlab.train.run.Run`."""

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        data: Split,
        optimizer: torch.optim.Optimizer,
        regularizer: Regularizer,
    ) -> None:
        self.module = module
        self.objective = objective
        self.optimizer = optimizer
        self._base_lrs = [float(group.get("lr", 0.0)) for group in optimizer.param_groups]
        self.lr = self._base_lrs[0]
        self._data = data
        self._regularizer = regularizer
        self._changes_gradients = regularizer != Regularizer(decay=regularizer.decay)
        self._needs_closure = _requires_an_argument(optimizer.step)
        # Others may write into param.grad; where penalties or clipping do not make new ones, copy.
        self._copies = not (self._changes_gradients or isinstance(optimizer, RuleOptimizer))
        self._gradients: dict[str, Tensor] = {}

    def step(self, rows: Tensor | None, lr_factor: float) -> list[Tensor]:
        """Make one update; see `Run.step`."""
        x, y = self._data.x, self._data.y
        if rows is not None:
            x, y = x.index_select(0, rows), y.index_select(0, rows)
        for group, lr in zip(self.optimizer.param_groups, self._base_lrs, strict=True):
            group["lr"] = lr * lr_factor
        output, loss = self._differentiate(x, y)
        with torch.no_grad():
            # Before the update: the output may be a view of the parameters (`Point`).
            values = self.objective.values(loss, output, y)
            self._keep_gradients()
        cost = self._regularize(loss)
        self._decay(self.lr * lr_factor)
        if self._needs_closure:
            self.optimizer.step(self._closure(x, y, cost))  # type: ignore[arg-type]
        else:
            self.optimizer.step()
        return values

    def _differentiate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return output and loss, whose gradient is then in the parameters."""
        self.optimizer.zero_grad()
        output = self.module(x)
        loss = self.objective.loss(output, y)
        loss.backward()  # type: ignore[no-untyped-call]
        return output.detach(), loss.detach()

    def _closure(self, x: Tensor, y: Tensor, cost: Tensor) -> Callable[[], Tensor]:
        """Return what an optimizer of many evaluations (L-BFGS) calls for each.

        The first call is where the parameters are: it takes what is known, unless they decayed.
        """
        known = [] if self._regularizer.decay else [cost]

        @torch.enable_grad()
        def closure() -> Tensor:
            return known.pop() if known else self._regularize(self._differentiate(x, y)[1])

        return closure

    def _keep_gradients(self) -> None:
        named = self.module.named_parameters()
        raw = {name: p.grad for name, p in named if p.grad is not None}
        self._gradients = {n: g.clone() for n, g in raw.items()} if self._copies else raw

    @torch.no_grad()
    def _regularize(self, loss: Tensor) -> Tensor:
        """Replace gradients by penalized and clipped ones; return the loss plus penalties."""
        if not self._changes_gradients:
            return loss
        r, num_rows = self._regularizer, len(self._data)
        params = [p for p in self.module.parameters() if p.grad is not None]
        grads = [p.grad for p in params if p.grad is not None]
        weights: list[Tensor | bool] = [is_weight(p) for p in params]
        ready = regularized(grads, [p.data for p in params], weights, r, num_rows)
        for p, grad in zip(params, ready, strict=True):
            p.grad = grad
        if not self._needs_closure or r.l1 == r.l2 == 0:
            return loss
        return loss + l1_penalty(params, r.l1, num_rows) + l2_penalty(params, r.l2, num_rows)

    @torch.no_grad()
    def _decay(self, lr: float) -> None:
        if self._regularizer.decay:
            for p in self.module.parameters():
                if p.grad is not None:
                    p.copy_(decayed(p, is_weight(p), lr, self._regularizer))

    @contextmanager
    def at_iterate(self) -> Iterator[None]:
        """Hold the iterate in the parameters where the optimizer keeps one; see `Run`."""
        if isinstance(self.optimizer, RuleOptimizer):
            with self.optimizer.at_iterate():
                yield
        else:
            yield

    def gradients(self) -> dict[str, Tensor]:
        """Return the last gradients by name; see `Run.gradients`."""
        return self._gradients

    def snapshot(self) -> dict[str, Tensor]:
        """Copy weights and buffers; see `Run.snapshot`."""
        return copy_of(self.module)

    def restore(self, snapshot: Any) -> None:
        """Put weights and buffers back; see `Run.restore`."""
        copy_into(self.module, snapshot)


def _requires_an_argument(step: Callable[..., Any]) -> bool:
    """Return whether an optimizer's ``step`` cannot be called without its closure."""
    parameters = inspect.signature(step).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return any(p.default is p.empty for p in named)
