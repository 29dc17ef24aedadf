import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optlab.optim import SOAP
from tests.optim.paths import Array, assert_close, path, random_gradients, start

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "soap.json").read_text())


def sorted_eigenvectors(gram: Array) -> Array:
    return np.linalg.eigh(gram)[1][:, ::-1]


def turn(gram: Array, basis: Array) -> tuple[Array, Any]:
    order = np.argsort(-np.diag(basis.T @ gram @ basis))
    return np.linalg.qr(gram @ basis[:, order])[0], order


def formula(
    grads: Array,
    w: Array,
    lr: float,
    betas: tuple[float, float],
    shampoo_beta: float,
    eps: float,
    weight_decay: float,
    precondition_frequency: int,
) -> Array:
    """Vyas et al. (2024), Algorithms 3 and 4, for a matrix, with the authors' first step."""
    b1, b2 = betas
    m, v, points = np.zeros_like(w), np.zeros_like(w), [w]
    gram_l = (1 - shampoo_beta) * grads[0] @ grads[0].T
    gram_r = (1 - shampoo_beta) * grads[0].T @ grads[0]
    ql, qr = sorted_eigenvectors(gram_l), sorted_eigenvectors(gram_r)
    for t, g in enumerate(grads[1:], start=1):
        p = ql.T @ g @ qr
        m, v = b1 * m + (1 - b1) * p, b2 * v + (1 - b2) * p**2
        n = m / (1 - b1**t) * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
        w = (w - lr * ql @ n @ qr.T) * (1 - lr * weight_decay)
        gram_l = shampoo_beta * gram_l + (1 - shampoo_beta) * g @ g.T
        gram_r = shampoo_beta * gram_r + (1 - shampoo_beta) * g.T @ g
        if t % precondition_frequency == 0:
            whole = ql @ m @ qr.T
            (ql, rows_by), (qr, columns_by) = turn(gram_l, ql), turn(gram_r, qr)
            m, v = ql.T @ whole @ qr, v[rows_by][:, columns_by]
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("frequency", [1, 3, 10])
@pytest.mark.parametrize("shape", [(5, 5), (5, 4), (3, 4)])
def test_equals_the_formula_in_numpy(shape: tuple[int, int], frequency: int) -> None:
    # The first gradient leaves one direction free at most, so that the bases are unique but for
    # their signs, which cancel.
    grads = random_gradients(25, shape)
    options: dict[str, Any] = {
        "lr": 0.1,
        "betas": (0.9, 0.8),
        "shampoo_beta": 0.7,
        "eps": 1e-3,
        "weight_decay": 0.3,
        "precondition_frequency": frequency,
    }
    expected = formula(grads.numpy(), start(shape).numpy(), **options)
    # Eigenvectors carry the rounding divided by the gaps between eigenvalues.
    assert_close(path(SOAP, grads, **options), expected, 1e-10)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["shape"]))
def test_ends_where_the_authors_code_ends(case: dict[str, Any]) -> None:
    shape = case["shape"]
    k = torch.arange(1, np.prod(shape) + 1, dtype=torch.float64)
    t = torch.arange(1, 26, dtype=torch.float64)
    grads = torch.sin(k * k + 3 * t[:, None]).view(25, *shape)
    end = path(SOAP, grads, **case["options"])[-1].flatten()
    # Stored to 13 digits; gradients off by 1e-13 move these ends by up to 8e-13.
    assert_close(end, np.array(case["after_25_steps"]), 1e-10)


def test_first_step_only_measures() -> None:
    points = path(SOAP, random_gradients(2, (4, 3)), lr=0.1, weight_decay=0.5)
    assert torch.equal(points[0], start((4, 3)))
    assert not torch.isclose(points[1], points[0]).any()


@pytest.mark.parametrize("frequency", [1, 10])
def test_a_turned_problem_has_the_turned_path(frequency: int) -> None:
    # What Adam lacks and Shampoo has: the coordinates of rows and columns do not matter.
    grads, w = random_gradients(20, (4, 4)), start((4, 4))
    left, right = (
        torch.linalg.qr(random_gradients(1, (4, 4))[0].roll(shift)).Q for shift in (0, 1)
    )
    options = {"lr": 0.1, "precondition_frequency": frequency}
    # Without decay paths do not depend on where they start.
    here = path(SOAP, grads, weight_decay=0.0, **options) - w
    there = path(SOAP, left @ grads @ right.T, weight_decay=0.0, **options) - w
    assert_close(there, left @ here @ right.T, 1e-10)


@pytest.mark.parametrize(("shape", "options"), [((5,), {}), ((4, 3), {"max_precond_dim": 2})])
def test_what_is_not_rotated_is_adam_one_step_late(
    shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    grads = random_gradients(shape=shape)
    ours = path(SOAP, grads, lr=0.01, betas=(0.9, 0.99), eps=0.0, weight_decay=0.0, **options)
    adam = path(torch.optim.Adam, grads[1:], lr=0.01, betas=(0.9, 0.99), eps=0.0)
    assert_close(ours[1:], adam, 1e-12)


def test_decay_follows_the_step() -> None:
    grads = random_gradients(2, (3,))
    plain = path(SOAP, grads, lr=0.5, weight_decay=0.0)[1]
    assert torch.equal(path(SOAP, grads, lr=0.5, weight_decay=0.5)[1], 0.75 * plain)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [((7, 5), {0: 7, 1: 5}), ((7, 9), {0: 7}), ((7, 1, 3), {0: 7, 2: 3}), ((7,), {}), ((), {})],
)
def test_axes_of_matrices_have_bases_unless_they_are_long(
    shape: tuple[int, ...], sides: dict[int, int]
) -> None:
    state = SOAP.rule.init_state(torch.zeros(shape), SOAP.rule.hyper(max_precond_dim=8))
    bases = {name: tuple(value.shape) for name, value in state.items() if "_avg" not in name}
    expected = {f"{kind}_{a}": (n, n) for a, n in sides.items() for kind in ("gram", "basis")}
    assert bases == {"step": (), **expected}


def stacked_path(grads: Tensor, **options: Any) -> Tensor:
    """Return paths of shape (runs, steps, rows, columns) of runs that move together."""
    rule, hyper = SOAP.rule, SOAP.rule.hyper(**options)
    runs = grads.shape[0]
    params = start(tuple(grads.shape[2:])).expand(runs, *grads.shape[2:])
    first = rule.init_state(params[0], hyper)
    state = {n: t.expand(runs, *t.shape) for n, t in first.items()}
    points = []
    for step in range(grads.shape[1]):
        params, state = torch.vmap(lambda g, p, s: rule.update(g, p, s, hyper))(
            grads[:, step], params, state
        )
        points.append(params)
    return torch.stack(points, dim=1)


def test_runs_of_a_stack_turn_their_bases_when_a_run_alone_does() -> None:
    grads = random_gradients(13, (3, 4, 4)).movedim(1, 0)
    options: dict[str, Any] = {"lr": 0.1, "precondition_frequency": 3}
    alone = torch.stack([path(SOAP, run, **options) for run in grads])
    # Stacked products may add up in another order.
    assert_close(stacked_path(grads, **options), alone, 1e-11)


def test_a_diverged_run_leaves_the_others_of_its_stack_alone() -> None:
    grads = random_gradients(7, (2, 3, 3)).movedim(1, 0)
    spoiled = grads.clone()
    spoiled[1, 0] = float("nan")
    options: dict[str, Any] = {"lr": 0.1, "precondition_frequency": 2}
    points = stacked_path(spoiled, **options)
    assert torch.equal(points[0], stacked_path(grads, **options)[0])
    assert points[1, -1].isnan().all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_empty_parameters_stay_empty(shape: tuple[int, ...]) -> None:
    points = path(SOAP, torch.zeros(4, *shape), precondition_frequency=1)
    assert points.shape == (4, *shape)


@pytest.mark.parametrize("frequency", [1, 2])
def test_a_matrix_without_slope_only_decays(frequency: int) -> None:
    points = path(SOAP, torch.zeros(3, 2, 3), lr=0.5, precondition_frequency=frequency)
    expected = start((2, 3), torch.float32) * (1 - 0.5 * 0.01) ** 2
    # Two products in float32.
    assert_close(points[-1], expected, 1e-6)
