"""One run of any module under any `torch.optim.Optimizer`: the loop everybody writes by hand."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from optlab.optim import groups
from optlab.optim.apply import first_state
from optlab.optim.regularizers import Regularizer, is_weight, l1_penalty, l2_penalty
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.tasks.base import Split
from optlab.train.evaluation import Evaluation
from optlab.train.objective import Objective
from optlab.train.optimizer_state import load_optimizer
from optlab.train.run import copy_into, copy_of, load_into, state_of
from optlab.train.step import decayed, regularized

#: How a class wants its ``step`` called: without arguments, with a closure that evaluates again, or
#: without arguments on gradients that can be differentiated once more.
Call = Literal["plain", "closure", "graph"]


class PlainRun:
    """A `Run` of a module and an optimizer object. See `optlab.train.run.Run`.

    Args:
        module: The model.
        objective: What is minimized and measured.
        data: Training rows.
        optimizer: An optimizer of the module's parameters.
        regularizer: Penalties, decay and clipping.
        call: How to call ``optimizer.step``; by default with a closure where it must have one.

    Attributes:
        repeated_rows: Rows whose gradients a closure has computed beside once for each update.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        data: Split,
        optimizer: torch.optim.Optimizer,
        regularizer: Regularizer,
        call: Call | None = None,
    ) -> None:
        self.module = module
        self.objective = objective
        self.optimizer = optimizer
        self._base_lrs = [_number(group.get("lr")) for group in optimizer.param_groups]
        self.lr = self._base_lrs[0] or 0.0
        self._data = data
        self._regularizer = regularizer
        self._changes_gradients = regularizer != Regularizer(decay=regularizer.decay)
        self._call = call or ("closure" if _requires_an_argument(optimizer.step) else "plain")
        # Others may write into param.grad; where penalties or clipping do not make new ones, copy.
        self._copies = not (self._changes_gradients or isinstance(optimizer, RuleOptimizer))
        self._gradients: dict[str, Tensor] = {}
        self._has_moved = False
        self.repeated_rows = 0
        _switch(optimizer, "train")
        if regularizer.decay and isinstance(optimizer, RuleOptimizer):
            _begin(optimizer)

    @property
    def execution(self) -> str:
        """How updates are made; see `Run`."""
        if isinstance(self.optimizer, RuleOptimizer):
            return self.optimizer.execution
        kind = type(self.optimizer)
        return f"{kind.__module__}.{kind.__qualname__}"

    def step(self, rows: Tensor | None, lr_factor: float) -> list[Tensor]:
        """Make one update; see `Run.step`."""
        x, y = self._data.x, self._data.y
        if rows is not None:
            x, y = x.index_select(0, rows), y.index_select(0, rows)
        for group, lr in zip(self.optimizer.param_groups, self._base_lrs, strict=True):
            if lr is not None:
                group["lr"] = lr * lr_factor
        output, loss = self._differentiate(x, y)
        with torch.no_grad():
            # Before the update: the output may be a view of the parameters (`Point`).
            values = self.objective.values(loss, output, y)
            self._keep_gradients()
        cost = self._regularize(loss)
        closure = self._closure(x, y, cost) if self._call == "closure" else None
        self._decay(self.lr * lr_factor)
        if closure is not None:
            self.optimizer.step(closure)  # type: ignore[arg-type]
        else:
            self.optimizer.step()
        self._has_moved = True
        if self._call == "graph":
            self.optimizer.zero_grad()  # a gradient's graph holds the parameter that holds it
        return values

    def _differentiate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return output and loss, whose gradient is then in the parameters."""
        self.optimizer.zero_grad()
        output = self.module(x)
        loss = self.objective.loss(output, y)
        if self._call == "graph":
            params = list(self.module.parameters())
            grads = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
            for p, grad in zip(params, grads, strict=True):
                p.grad = grad
        else:
            loss.backward()  # type: ignore[no-untyped-call]
        return output.detach(), loss.detach()

    def _closure(self, x: Tensor, y: Tensor, cost: Tensor) -> Callable[[], Tensor]:
        """Return what an optimizer of many evaluations (L-BFGS, SAM) calls for each.

        The first call computes nothing where weights and gradients are still those of ``cost``.
        """
        known = [Evaluation(list(self.module.parameters()))]

        @torch.enable_grad()
        def closure() -> Tensor:
            if known and known.pop().stands():
                return cost
            self.repeated_rows += len(x)
            return self._regularize(self._differentiate(x, y)[1])

        return closure

    def _keep_gradients(self) -> None:
        named = self.module.named_parameters()
        raw = {name: p.grad for name, p in named if p.grad is not None}
        self._gradients = {n: g.detach().clone() for n, g in raw.items()} if self._copies else raw

    def _regularize(self, loss: Tensor) -> Tensor:
        """Replace gradients by penalized and clipped ones; return the loss plus penalties."""
        if not self._changes_gradients:
            return loss
        r, num_rows = self._regularizer, len(self._data)
        params = [p for p in self.module.parameters() if p.grad is not None]
        grads = [p.grad for p in params if p.grad is not None]
        weights: list[Tensor | bool] = [is_weight(p) for p in params]
        with torch.set_grad_enabled(self._call == "graph"):
            ready = regularized(grads, list(params), weights, r, num_rows)
        for p, grad in zip(params, ready, strict=True):
            p.grad = grad
        if self._call != "closure" or r.l1 == r.l2 == 0:
            return loss
        with torch.no_grad():
            return loss + l1_penalty(params, r.l1, num_rows) + l2_penalty(params, r.l2, num_rows)

    @torch.no_grad()
    def _decay(self, lr: float) -> None:
        if self._regularizer.decay:
            for p in self.module.parameters():
                if p.grad is not None:
                    p.copy_(decayed(p, is_weight(p), lr, self._regularizer))

    @contextmanager
    def at_iterate(self) -> Iterator[None]:
        """Hold the iterate in the parameters where the optimizer keeps one; see `Run`.

        A foreign optimizer with modes (schedule-free ones) is put into ``eval()`` meanwhile, and
        its parameters come back bit for bit.
        """
        if isinstance(self.optimizer, RuleOptimizer):
            with self.optimizer.at_iterate():
                yield
        elif self._has_moved and _has_modes(self.optimizer):
            saved = copy_of(self.module)
            _switch(self.optimizer, "eval")
            try:
                yield
            finally:
                _switch(self.optimizer, "train")
                copy_into(self.module, saved)
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

    def state(self) -> dict[str, Any]:
        """Return all that changes; see `Run.state`."""
        return {
            "module": state_of(self.module),
            "optimizer": self.optimizer.state_dict(),
            "has_moved": self._has_moved,
            "repeated_rows": self.repeated_rows,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; see `Run.load`.

        Raises:
            ConfigError: When an optimizer of others does not take its own state back.
        """
        load_into(self.module, state["module"])
        load_optimizer(self.optimizer, state["optimizer"])
        self._has_moved = state["has_moved"]
        self.repeated_rows = state["repeated_rows"]


def _requires_an_argument(step: Callable[..., Any]) -> bool:
    """Return whether an optimizer's ``step`` cannot be called without its closure."""
    parameters = inspect.signature(step).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return any(p.default is p.empty for p in named)


def _begin(optimizer: RuleOptimizer) -> None:
    """Make every state at the first weights: the first step comes after a decay of them."""
    rule = optimizer.rule
    for group in optimizer.param_groups:
        hyper, options = groups.read(rule.hyper, group)
        for p in group["params"]:
            state = first_state(rule, p, hyper, options)
            if state:
                optimizer.state[p] = state


def _has_modes(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether an optimizer evaluates elsewhere than it steps, as schedule-free ones do."""
    return all(callable(getattr(optimizer, mode, None)) for mode in ("train", "eval"))


def _switch(optimizer: torch.optim.Optimizer, mode: Literal["train", "eval"]) -> None:
    if _has_modes(optimizer):
        getattr(optimizer, mode)()


def _number(lr: Any) -> float | None:
    """Return a group's learning rate, or None where it has none."""
    return None if lr is None else float(lr)
