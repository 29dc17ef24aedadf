"""One run of any module under any `torch.optim.Optimizer`: the loop everybody writes by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from optlab.optim.regularizers import Regularizer, is_weight
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

    def step(self, rows: Tensor | None, lr_factor: float) -> list[Tensor]:
        """Make one update; see `Run.step`."""
        x, y = self._data.x, self._data.y
        if rows is not None:
            x, y = x.index_select(0, rows), y.index_select(0, rows)
        for group, lr in zip(self.optimizer.param_groups, self._base_lrs, strict=True):
            group["lr"] = lr * lr_factor
        measured: list[Tensor] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            output = self.module(x)
            loss = self.objective.loss(output, y)
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                if not measured:
                    measured.extend(self.objective.values(loss.detach(), output.detach(), y))
                self._regularize(self.lr * lr_factor)
            return loss.detach()

        # Optimizers that evaluate several times (L-BFGS) need the closure; the others call it once.
        self.optimizer.step(closure)  # type: ignore[arg-type]
        return measured

    def _regularize(self, lr: float) -> None:
        params = [p for p in self.module.parameters() if p.grad is not None]
        if self._changes_gradients:
            weights: list[Tensor | bool] = [is_weight(p) for p in params]
            grads = [p.grad for p in params if p.grad is not None]
            ready = regularized(
                grads, [p.data for p in params], weights, self._regularizer, len(self._data)
            )
            for p, grad in zip(params, ready, strict=True):
                p.grad = grad
        if self._regularizer.decay:
            for p in params:
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
        named = self.module.named_parameters()
        return {name: p.grad for name, p in named if p.grad is not None}

    def snapshot(self) -> dict[str, Tensor]:
        """Copy weights and buffers; see `Run.snapshot`."""
        return copy_of(self.module)

    def restore(self, snapshot: Any) -> None:
        """Put weights and buffers back; see `Run.restore`."""
        copy_into(self.module, snapshot)
