"""The plain engine under optimizers of others: what their ``step`` takes, and what they may do."""

import pytest
import torch
from torch import nn

from optlab.models import Point
from optlab.optim import l2_penalty
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Split
from optlab.train import Objective, PlainRun

DATA = Split(torch.zeros(1, 1), torch.zeros(1, 1))
LR = 0.25


class Bare(torch.optim.SGD):
    """Takes no closure."""

    def step(self):
        return super().step()


class Deaf(torch.optim.SGD):
    """Takes a closure and never calls it."""

    def step(self, closure=None):
        return super().step()


class Writing(torch.optim.SGD):
    """Spoils the gradients it was given."""

    def step(self, closure=None):
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.mul_(1000.0)


class Demanding(torch.optim.SGD):
    """Evaluates three times where it stands, then descends; calls without gradients enabled."""

    @torch.no_grad()
    def step(self, closure):
        self.losses = [closure().item() for _ in range(3)]
        return super().step()


class Matrix(nn.Module):
    """Answers with its one weight, 2, a matrix, so that penalties and decay apply."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1), 2.0))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.weight


def run_of(make, regularizer=None, **options):
    """Return a run on f = w^2 / 2, whose gradient is w, from w = 2."""
    module = Matrix()
    objective = Objective(lambda z, y: 0.5 * z.square().sum(), lambda z, y: {}, ())
    optimizer = make(module.parameters(), lr=LR, **options)
    return PlainRun(module, objective, DATA, optimizer, regularizer or Regularizer())


@pytest.mark.parametrize("make", [torch.optim.SGD, Bare, Deaf, Writing, Demanding])
def test_every_kind_of_step_makes_one_update(make):
    run = run_of(make)
    assert [v.item() for v in run.step(None, 1.0)] == [2.0]
    assert run.module.weight.item() == 2.0 * (1 - LR)
    assert [v.item() for v in run.step(None, 1.0)] == [0.5 * 1.5**2]


@pytest.mark.parametrize("make", [Bare, Deaf, Writing, Demanding])
def test_decay_and_clipping_come_once_an_update(make):
    # Decay: 2 (1 - 0.25 * 0.5) = 1.75; the clipped gradient takes 0.25 * 0.1 of it.
    run = run_of(make, Regularizer(decay=0.5, clip_value=0.1))
    run.step(None, 1.0)
    assert run.module.weight.item() == pytest.approx(1.75 - 0.025, rel=1e-6)


@pytest.mark.parametrize("make", [torch.optim.SGD, Bare, Deaf])
def test_one_evaluation_is_enough_where_no_closure_is_required(make):
    run = run_of(make)
    run.step(None, 1.0)
    assert run.module.calls == 1


def test_a_closure_starts_from_the_evaluation_already_made():
    run = run_of(Demanding)
    run.step(None, 1.0)
    assert run.module.calls == 3
    assert run.optimizer.losses == [2.0, 2.0, 2.0]


def test_what_a_closure_returns_is_what_its_gradient_belongs_to():
    """A line search needs it: the loss with penalties, of the decayed weight at first too."""
    run = run_of(Demanding, Regularizer(l2=3.0))
    run.step(None, 1.0)
    expected = 2.0 + l2_penalty([torch.full((1, 1), 2.0)], 3.0, 1).item()
    assert run.optimizer.losses == [expected] * 3
    decaying = run_of(Demanding, Regularizer(decay=0.5))
    decaying.step(None, 1.0)
    assert decaying.optimizer.losses == [0.5 * 1.75**2] * 3


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_finds_the_minimum_of_loss_and_penalty(search):
    module = nn.Linear(3, 1).double()
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(20, 3, generator=stream, dtype=torch.float64)
    data = Split(x, x.sum(1, keepdim=True) + 1)
    objective = Objective(lambda z, y: (z - y).square().mean(), lambda z, y: {}, ())
    optimizer = torch.optim.LBFGS(
        module.parameters(), lr=0.5, line_search_fn=search, tolerance_change=1e-14
    )
    run = PlainRun(module, objective, data, optimizer, Regularizer(l2=2.0))
    first = run.step(None, 1.0)[0].item()
    for _ in range(10):
        last = run.step(None, 1.0)[0].item()
    assert last < first
    # Ridge regression in closed form: (x'x / n + lambda / (2 n)) w = x'y / n, with a free bias.
    ones = torch.cat([x, torch.ones(20, 1, dtype=torch.float64)], 1)
    ridge = torch.diag(torch.tensor([0.05, 0.05, 0.05, 0.0], dtype=torch.float64))
    exact = torch.linalg.solve(ones.T @ ones / 20 + ridge, ones.T @ data.y / 20).flatten()
    found = torch.cat([module.weight.detach().flatten(), module.bias.detach()])
    # L-BFGS stops where the gradient is below 1e-7; the smallest curvature here is about 1.
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [torch.optim.SGD, Writing, Demanding])
@pytest.mark.parametrize("regularizer", [None, Regularizer(l1=0.5, l2=0.5, clip_norm=0.1)])
def test_gradients_are_the_losses_own(make, regularizer):
    run = run_of(make, regularizer)
    run.step(None, 1.0)
    assert {name: g.item() for name, g in run.gradients().items()} == {"weight": 2.0}


def test_values_of_a_point_are_those_before_the_update():
    """The point's answer is a view of the parameter, which the update overwrites."""
    module = Point((2.0, 4.0))
    objective = Objective(lambda z, y: z.square().sum(), lambda z, y: {"mean": z.mean()}, ("mean",))
    optimizer = torch.optim.SGD(module.parameters(), lr=LR)
    run = PlainRun(module, objective, DATA, optimizer, Regularizer())
    assert [v.item() for v in run.step(None, 1.0)] == [20.0, 3.0]
