import math

import pytest
import torch
from torch import Tensor

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks import functions
from optlab.tasks.functions import Surface, Well

SURFACES = [task for _, task in tasks.items() if issubclass(task, Surface)]
every_surface = pytest.mark.parametrize("task", SURFACES, ids=lambda task: task.__name__)


def points(count: int, dims: int) -> Tensor:
    """Return points of the square from -4 to 4, in double precision."""
    draws = seeding.generator(0, "points")
    return 8 * torch.rand(count, dims, generator=draws, dtype=torch.float64) - 4


def gradient(task: Surface, p: Tensor) -> Tensor:
    p = p.detach().requires_grad_()
    return torch.autograd.grad(task.objective(p).sum(), p)[0]


def hessian_at(task: Surface, p: Tensor) -> Tensor:
    return torch.autograd.functional.hessian(task.objective, p)


@every_surface
def test_gradient_is_zero_at_the_minima(task):
    minima = task().load().minima
    scale = gradient(task(), minima + 1).abs().max()
    assert gradient(task(), minima).abs().max() <= 1e-13 * scale  # roots are given to 16 digits


@every_surface
def test_no_point_lies_below_the_minima_and_all_minima_are_equal(task):
    data = task().load()
    lowest = data.objective(data.minima)
    torch.testing.assert_close(lowest, lowest[:1].expand_as(lowest), rtol=0.0, atol=1e-12)
    assert data.objective(points(20_000, data.num_outputs)).min() > lowest[0]


@every_surface
def test_gradient_equals_finite_differences(task):
    p = points(5, task().load().num_outputs).requires_grad_()
    assert torch.autograd.gradcheck(task().objective, p)


@every_surface
def test_stacked_gradients_equal_those_of_each_run_alone(task):
    p = points(6, task().load().num_outputs).reshape(3, 2, -1)
    loss = torch.func.grad(lambda point: task().objective(point).mean())
    stacked = torch.vmap(loss)(p)
    # the same operations in another memory layout: rounding alone
    torch.testing.assert_close(stacked, torch.stack([loss(q) for q in p]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("task", "point", "value"),
    [
        (functions.Quadratic(condition=10.0), (1.0, 2.0), 20.5),
        (functions.RotatedQuadratic(condition=10.0, angle_deg=90.0), (1.0, 2.0), 7.0),
        (functions.Well(), (2.0,), 2.3),
        (functions.Saddle(), (1.0, 2.0), 1.0),
        (functions.Saddle(), (0.0, math.sqrt(2)), -1.0),
        (functions.Rosenbrock(), (-1.2, 1.0), 24.2),
        (functions.Rastrigin(), (0.5, 0.5), 40.5),
        (functions.Beale(), (1.0, 1.0), 14.203125),
        (functions.Himmelblau(), (0.0, 0.0), 170.0),
    ],
    ids=str,
)
def test_known_values(task, point, value):
    p = torch.tensor([point], dtype=torch.float64)
    assert task.objective(p).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 200.0])
def test_turning_a_quadratic_keeps_its_curvatures(angle_deg):
    task = functions.RotatedQuadratic(condition=25.0, angle_deg=angle_deg)
    hessian = hessian_at(task, torch.zeros(2).double())
    curvature = torch.linalg.eigvalsh(hessian)
    torch.testing.assert_close(curvature, torch.tensor([1.0, 25.0]).double())
    angle = torch.tensor(math.radians(angle_deg), dtype=torch.float64)
    flat = torch.stack([angle.cos(), angle.sin()])
    torch.testing.assert_close(hessian @ flat, flat)


def test_saddle_has_zero_gradient_and_both_curvatures_at_the_origin():
    origin = torch.zeros(1, 2, dtype=torch.float64)
    task = functions.Saddle()
    assert gradient(task, origin).tolist() == [[0.0, 0.0]]
    hessian = hessian_at(task, origin[0])
    assert torch.linalg.eigvalsh(hessian).tolist() == [-2.0, 2.0]


def test_from_the_ridge_of_the_saddle_no_gradient_leads_away():
    on_ridge = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert gradient(functions.Saddle(), on_ridge)[0, 1] == 0


def descend(task: Surface, start: float, lr: float) -> float:
    p = torch.tensor([[start]], dtype=torch.float64)
    for _ in range(400):
        p = p - lr * gradient(task, p)
    return p.item()


def test_well_has_the_valleys_of_the_notes():
    assert (round(Well.LOCAL_MINIMUM, 3), round(Well.MINIMA[0][0], 3)) == (0.914, -1.068)
    local = torch.tensor([[Well.LOCAL_MINIMUM]], dtype=torch.float64)
    assert gradient(Well(), local).abs().item() < 1e-15
    assert Well().objective(local) > Well().objective(torch.tensor(Well.MINIMA).double())


@pytest.mark.parametrize("start", [2.0, 1.5, 1.2])
def test_small_steps_are_caught_by_the_shallow_valley(start):
    assert descend(Well(), start, lr=0.05) == pytest.approx(Well.LOCAL_MINIMUM, abs=1e-6)


def test_a_large_step_jumps_over_the_shallow_valley():
    assert descend(Well(), 2.0, lr=0.5) == pytest.approx(Well.MINIMA[0][0], abs=1e-6)


def loss_gradient(task: Surface, p: Tensor, noise: Tensor) -> Tensor:
    """Return the gradient at ``p`` of the mean loss over rows of noise."""
    p = p.detach().requires_grad_()
    output = p.expand(len(noise), -1)
    return torch.autograd.grad((task.objective(output) + (noise * output).sum(-1)).mean(), p)[0]


@every_surface
def test_without_noise_there_is_one_row_of_zeros(task):
    data = task().load()
    for split in (data.train, data.val, data.test):
        assert split.x.tolist() == [[0.0]]
        assert split.y.tolist() == [[0.0] * data.num_outputs]


@every_surface
def test_a_row_adds_its_noise_to_the_gradient_and_all_rows_add_nothing(task):
    noisy = task(noise=2.0, rows=4000)
    data = noisy.load()
    rows = data.train.y.double()
    p = points(1, data.num_outputs)
    exact = gradient(noisy, p)
    torch.testing.assert_close(loss_gradient(noisy, p, rows[:1]), exact + rows[0])
    # the noise is centered in double and rounded to float32: 4000 roundings of size 1e-7
    torch.testing.assert_close(loss_gradient(noisy, p, rows), exact, rtol=1e-7, atol=1e-7)


@every_surface
def test_noise_has_the_deviation_that_was_asked_for_in_every_coordinate(task):
    data = task(noise=2.0, rows=4000).load()
    assert data.train.x.shape == (4000, 1)
    assert len(data.val) == len(data.test) == 1
    # 4000 rows: the deviation is known to 1.1 percent; four times that
    assert (data.train.y.std(0) / 2 - 1).abs().max() < 0.045
