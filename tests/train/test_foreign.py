"""How a foreign optimizer is called is found out on a copy, and the run is as if it were known."""

from typing import Any

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Split
from optlab.train import Objective, PlainRun, foreign_run

HERE = __name__
LR = 0.25


class Base(torch.optim.SGD):
    """Gradient descent; counts its steps."""

    def __init__(self, params: Any, lr: float = LR) -> None:
        super().__init__(params, lr)
        self.num_steps = 0

    def step(self, closure: Any = None) -> Any:
        self.num_steps += 1
        return super().step()


class Sharpness(Base):
    """Steps by the gradient one unit further on; its signature hides that it needs a closure."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if closure is None:
            raise RuntimeError("needs a closure")
        params = self.param_groups[0]["params"]
        for p in params:
            p.add_(1.0)
        with torch.enable_grad():
            loss = closure()
        for p in params:
            p.sub_(1.0)
        super().step()
        return loss


class Newton(Base):
    """Divides the gradient by the curvature, which it takes from the gradient's graph."""

    def step(self, closure: Any = None) -> Any:
        for p in self.param_groups[0]["params"]:
            (curvature,) = torch.autograd.grad(p.grad.sum(), p)
            p.grad = p.grad.detach() / curvature
        return super().step()


class Noisy(Base):
    """Draws from the global stream and warns at every step."""

    def step(self, closure: Any = None) -> Any:
        torch.randn(3)
        return super().step()


class InBackward(Base):
    """Takes every gradient as soon as it is there."""

    def __init__(self, params: Any, lr: float = LR) -> None:
        super().__init__(params, lr)
        for p in self.param_groups[0]["params"]:
            p.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))


class Stepless(torch.optim.Optimizer):
    """Has no step of its own."""

    def __init__(self, params: Any, lr: float = LR) -> None:
        super().__init__(params, {"lr": lr})


class Failing(Base):
    """Fails however it is called."""

    def step(self, closure: Any = None) -> Any:
        raise ArithmeticError("only supports 2D parameters")


class ScheduleFree(Base):
    """Evaluates at a third of where it steps; refuses to be asked before it has a state."""

    def __init__(self, params: Any, lr: float = LR) -> None:
        super().__init__(params, lr)
        self.mode = "unset"

    @torch.no_grad()
    def eval(self) -> None:
        if not self.num_steps:
            raise KeyError("ema")
        self.mode = "eval"
        for p in self.param_groups[0]["params"]:
            p.div_(3.0)

    @torch.no_grad()
    def train(self) -> None:
        if self.mode == "eval":
            for p in self.param_groups[0]["params"]:
                p.mul_(3.0)
        self.mode = "train"

    def step(self, closure: Any = None) -> Any:
        if self.mode != "train":
            raise RuntimeError("not in train mode")
        return super().step()


class Weight(nn.Module):
    """Answers with its one weight, 2, a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1), 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight


def run_of(kind: type, regularizer: Regularizer | None = None, **options: Any) -> PlainRun:
    """Return a run on f = w^4 / 4, whose gradient is w^3 and curvature 3 w^2, from w = 2."""
    objective = Objective(lambda z, y: 0.25 * z.pow(4).sum(), lambda z, y: {}, ())
    data = Split(torch.zeros(4, 1), torch.zeros(4, 1))
    options = {"target": f"{HERE}.{kind.__name__}", **options}
    return foreign_run(options, Weight(), objective, data, regularizer or Regularizer())


def weight_after(run: PlainRun, factor: float = 1.0) -> float:
    run.step(None, factor)
    return run.module.weight.item()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Base, 2 - LR * 8),
        (Sharpness, 2 - LR * 27),
        (Newton, 2 - LR * 8 / 12),
        (ScheduleFree, 2 - LR * 8),
    ],
)
def test_every_kind_makes_the_update_it_is_meant_to_make(kind: type, expected: float) -> None:
    assert weight_after(run_of(kind)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", [Base, Sharpness, Newton])
def test_the_trial_leaves_the_run_as_new(kind: type) -> None:
    run = run_of(kind)
    assert run.module.weight.item() == 2.0
    assert run.optimizer.num_steps == 0
    assert not run.optimizer.state


def test_the_trial_leaves_the_global_stream_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run_of(Noisy)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("kind", [Sharpness, Newton])
def test_penalties_reach_gradients_that_are_computed_again(kind: type) -> None:
    # l2 = 8 over 4 rows adds 2 w to the gradient and 2 to the curvature.
    expected = {Sharpness: 2 - LR * (27 + 6), Newton: 2 - LR * (8 + 4) / (12 + 2)}[kind]
    assert weight_after(run_of(kind, Regularizer(l2=8.0))) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [Base, Sharpness, Newton])
def test_the_gradients_shown_are_those_at_the_weights(kind: type) -> None:
    run = run_of(kind)
    run.step(None, 1.0)
    assert {name: g.item() for name, g in run.gradients().items()} == {"weight": 8.0}
    assert not any(g.requires_grad for g in run.gradients().values())


def test_the_schedule_reaches_the_learning_rate() -> None:
    assert weight_after(run_of(Base, lr=0.5), factor=0.25) == 2 - 0.125 * 8


def test_evaluation_has_the_weights_of_eval_mode_and_gives_training_its_bits_back() -> None:
    run = run_of(ScheduleFree)
    with run.at_iterate():
        assert run.module.weight.item() == 2.0  # no step yet: both are the start
    run.step(None, 0.1)
    before = run.module.weight.detach().clone()
    with run.at_iterate():
        assert torch.equal(run.module.weight, before / 3)
    assert torch.equal(run.module.weight, before)
    assert run.optimizer.mode == "train"


@pytest.mark.parametrize("kind", [InBackward, Stepless])
def test_what_steps_by_other_means_is_refused(kind: type) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__} has no step of its own"):
        run_of(kind)


def test_what_fails_at_once_is_refused_with_its_reason() -> None:
    reason = "Failing failed in its first update, on a copy: ArithmeticError: only supports 2D"
    with pytest.raises(ConfigError, match=reason):
        run_of(Failing)
