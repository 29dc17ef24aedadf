"""Whether a rule finds minima: a parabola, and Rosenbrock's curved valley."""

from typing import Any

import torch
from torch import Tensor

from optlab.check.case import Case
from optlab.check.promise import expect, promise
from optlab.optim.rule import NewState

#: Rows: the parabola, the valley. The valley's third coordinate is idle.
TARGETS = ((1.0, -1.0, 1.0), (1.0, 1.0, 0.0))
STARTS = ((-1.0, 10.0, 1.0), (0.0, 0.0, 0.0))
NUM_RATES, STEPS, LOOK_EVERY = 17, 10_000, 500


@promise(
    "some learning rate reaches the minimum of a parabola and of Rosenbrock's valley, and holds it",
    mend="compare with the paper the sign and the scale of the step, what decays, and what is "
    "divided by what; a step that never shrinks cannot hold a minimum",
    every_form=False,
)
def finds_minima(case: Case) -> None:
    """Within 3e-2, in at most 10,000 steps, for 500 steps; 17 rates from 1e-4 to 1 walk at once.

    Source: the starts, targets and the tolerance are those of optax's gate for its optimizers.
    """
    held = _held(case)
    for name, row in zip(("parabola", "valley"), held, strict=True):
        expect(bool(row.any()), f"the minimum of the {name} at some rate", "it at none")


def _held(case: Case) -> Tensor:
    """Return which rates hold the minimum, (2, L): on the parabola and in the valley."""
    rule, hyper = case.rule, case.hyper
    targets, starts = (torch.tensor(t, dtype=torch.float64)[:, None] for t in (TARGETS, STARTS))
    lrs = torch.logspace(-4, 0, NUM_RATES, dtype=torch.float64)

    def update(g: Tensor, p: Tensor, s: NewState, lr: Tensor) -> tuple[Tensor, NewState]:
        return rule.update(g, p, s, hyper.with_values(lr=lr))

    points = starts.repeat(1, NUM_RATES, 1)
    states = [rule.init_state(point, hyper) for point in points.flatten(0, 1)]
    state: Any = {name: torch.stack([each[name] for each in states]) for name in states[0]}
    walk, rates = torch.vmap(update), lrs.repeat(2)
    held = reached = torch.zeros(2, NUM_RATES, dtype=torch.bool)
    for step in range(1, STEPS + 1):
        moved, state = walk(slopes(points).flatten(0, 1), points.flatten(0, 1), state, rates)
        points = moved.view_as(points)
        if step % LOOK_EVERY == 0:
            near = (points - targets).abs().amax(-1) < 3e-2
            held, reached = reached & near, near
            if held.any(dim=1).all():
                break
    return held


def slopes(points: Tensor) -> Tensor:
    """Return gradients at points of shape (2, L, 3): of the parabola, then of the valley."""
    parabola = 2 * (points[0] - points.new_tensor(TARGETS[0]))
    x, y = points[1, :, 0], points[1, :, 1]
    error = y - x * x
    valley = torch.stack([-400 * x * error - 2 * (1 - x), 200 * error, 0 * x], dim=-1)
    return torch.stack([parabola, valley])
