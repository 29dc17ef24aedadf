import numpy as np
import pytest
import torch
from torch import nn

from optlab.optim import AdamW, Muon
from optlab.optim.rules.muon import lr_scale
from tests.optim.paths import Array, assert_close, path, random_gradients, start

SHAPES = [(4, 3), (3, 5), (4, 4), (5, 1)]


def orthogonal(g: Array, steps: int = 5) -> Array:
    """The iteration of the blog post, applied to the singular values alone."""
    left, s, right = np.linalg.svd(g, full_matrices=False)
    s = s / np.sqrt((s**2).sum())
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return np.asarray(left * s @ right)


def formula(
    grads: Array, w: Array, lr: float, mu: float, decay: float, scale: float, nesterov: bool
) -> Array:
    """Liu et al. (2025), section 2, with a mean instead of a sum of gradients."""
    mean, points = np.zeros_like(w), []
    for g in grads:
        mean = mu * mean + (1 - mu) * g
        u = mu * mean + (1 - mu) * g if nesterov else mean
        w = w - lr * (scale * orthogonal(u) + decay * w)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_formula_in_numpy(shape: tuple[int, int], nesterov: bool) -> None:
    grads = random_gradients(shape=shape)
    for form, scale in (
        ("original", max(1, shape[0] / shape[1]) ** 0.5),
        ("match_rms_adamw", 0.2 * max(shape) ** 0.5),
    ):
        ours = path(
            Muon,
            grads,
            lr=0.1,
            momentum=0.8,
            nesterov=nesterov,
            weight_decay=0.3,
            adjust_lr_fn=form,
        )
        expected = formula(grads.numpy(), start(shape).numpy(), 0.1, 0.8, 0.3, scale, nesterov)
        # The iteration multiplies the rounding of small singular values by up to 3.4^5 = 480.
        assert_close(ours, expected, 1e-12)


@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw"}])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torch_in_bfloat16(shape: tuple[int, int], options: dict[str, object]) -> None:
    # The iteration is bitwise torch's; around it stands the rounding of float64.
    grads = random_gradients(shape=shape)
    options = {"lr": 0.1, "weight_decay": 0.3, "ns_steps": 4, "eps": 1e-3, **options}
    ours = path(Muon, grads, ns_dtype="bfloat16", **options)
    assert_close(ours, path(torch.optim.Muon, grads, **options), 1e-12)


def test_parameters_own_arithmetic_is_within_the_rounding_of_bfloat16_from_torch() -> None:
    # Relative to a matrix of 16 singular values near one, whose norm is 4.
    grads = random_gradients(1, (16, 32), torch.float32)
    options = {"lr": 1.0, "weight_decay": 0.0}
    ours, theirs = path(Muon, grads, **options), path(torch.optim.Muon, grads, **options)
    assert 0 < (ours - theirs).norm() < 0.03 * 4


def test_takes_arguments_in_the_order_of_torch() -> None:
    arguments = (0.02, 0.0, 0.9, False, (2.0, -1.5, 0.5), 1e-8, 3, "match_rms_adamw")
    names = ["lr", "weight_decay", "momentum", "nesterov"]
    names += ["ns_coefficients", "eps", "ns_steps", "adjust_lr_fn"]
    for make in (Muon, torch.optim.Muon):
        group = make([nn.Parameter(torch.ones(2, 2))], *arguments).param_groups[0]
        assert tuple(group[name] for name in names) == arguments


def test_defaults_are_those_of_torch() -> None:
    ours, theirs = (make([nn.Parameter(torch.ones(2, 2))]) for make in (Muon, torch.optim.Muon))
    theirs.defaults["adjust_lr_fn"] = "original"  # torch's None means it
    shared = theirs.defaults.keys() & ours.defaults.keys()
    assert len(shared) == 8
    assert {n: ours.defaults[n] for n in shared} == {n: theirs.defaults[n] for n in shared}


def test_length_of_the_gradient_does_not_matter() -> None:
    grads = random_gradients(5)
    longer = grads * 2.0**30
    assert torch.equal(path(Muon, grads, eps=0.0), path(Muon, longer, eps=0.0))


def test_first_step_is_the_orthogonal_factor_of_the_gradient_at_any_momentum() -> None:
    grads = random_gradients(1, (3, 4))
    for momentum in (0.0, 0.5, 0.95):
        moved = path(Muon, grads, lr=1.0, momentum=momentum, weight_decay=0.0)[0] - start((3, 4))
        assert_close(moved, -orthogonal(grads[0].numpy()), 1e-12)


def test_a_kernel_moves_like_its_flattened_matrix_and_by_its_scale() -> None:
    grads = random_gradients(5, (64, 3, 3, 3))
    kernel, matrix = path(Muon, grads), path(Muon, grads.flatten(2))
    assert torch.equal(kernel.flatten(2), matrix)
    assert lr_scale(64, 27, "original") == pytest.approx((64 / 27) ** 0.5, rel=1e-15)
    assert lr_scale(27, 64, "original") == 1.0


def test_a_matrix_without_slope_only_decays() -> None:
    moved = path(Muon, torch.zeros(1, 2, 3), lr=0.5, weight_decay=0.5)[0]
    assert torch.equal(moved, 0.75 * start((2, 3), torch.float32))


@pytest.mark.parametrize(("shape", "orthogonalize"), [((5,), True), ((), True), ((4, 3), False)])
def test_everything_else_is_adamw_with_its_own_rate(
    shape: tuple[int, ...], orthogonalize: bool
) -> None:
    grads = random_gradients(shape=shape)
    ours = path(
        Muon,
        grads,
        lr=0.1,
        weight_decay=0.3,
        eps=1e-3,
        orthogonalize=orthogonalize,
        adamw_lr_ratio=0.25,
        adamw_betas=(0.8, 0.9),
    )
    adamw = path(torch.optim.AdamW, grads, lr=0.025, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.3)
    assert_close(ours, adamw, 1e-12)


def test_a_group_can_send_its_matrices_to_adamw() -> None:
    body, head, lone = (nn.Parameter(start((3, 2))) for _ in range(3))
    groups = [{"params": [body]}, {"params": [head], "orthogonalize": False, "lr": 0.1}]
    optimizer = Muon(groups)
    adamw = AdamW([lone], lr=0.1, betas=(0.9, 0.95), eps=1e-7, weight_decay=0.1)
    for grad in random_gradients(3, (3, 2)):
        body.grad = head.grad = lone.grad = grad
        optimizer.step()
        adamw.step()
    assert torch.equal(head, lone)
    assert set(optimizer.state[body]) == {"momentum_buffer"}
    assert set(optimizer.state[head]) == {"step", "exp_avg", "exp_avg_sq"}


def test_keeps_one_number_per_element_of_a_matrix() -> None:
    state = Muon.rule.init_state(torch.zeros(50, 20), Muon.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_empty_matrices_stay_empty(shape: tuple[int, ...]) -> None:
    assert path(Muon, torch.zeros(2, *shape)).shape == (2, *shape)
