"""Losses as functions, against torch's and against the facts of the notes (LOS-01 .. 12)."""

import math

import pytest
import torch
from torch.func import grad, jacrev, vmap
from torch.nn import functional as oracle

from optlab.nn import losses

STREAM = torch.Generator().manual_seed(0)
P = torch.randn(6, 3, generator=STREAM, dtype=torch.float64)
Y = torch.randn(6, 3, generator=STREAM, dtype=torch.float64)
SOFT = torch.rand(6, 3, generator=STREAM, dtype=torch.float64)
BITS = torch.randint(2, (6, 3), generator=STREAM).double()
SIGNS = 2 * BITS - 1
LABELS = torch.randint(3, (6,), generator=STREAM)
ONE_HOT = losses.one_hot(LABELS, 3, torch.float64)


def margin(at_least):
    def loss(score, sign, reduction):
        zero = torch.zeros_like(score)
        return oracle.margin_ranking_loss(score, zero, sign, margin=at_least, reduction=reduction)

    return loss


def nll(probability, labels, reduction):
    labels = labels.argmax(-1) if labels.ndim == 2 else labels
    return oracle.nll_loss(probability.log(), labels, reduction=reduction)


def half(prediction, target, reduction):
    return oracle.mse_loss(prediction, target, reduction=reduction) / 2


CASES = {
    "mse": (losses.mse, oracle.mse_loss, P, Y),
    "half_mse": (losses.half_mse, half, P, Y),
    "mae": (losses.mae, oracle.l1_loss, P, Y),
    "huber": (losses.huber, oracle.huber_loss, P, Y),
    "bce": (losses.bce, oracle.binary_cross_entropy, P.sigmoid(), BITS),
    "bce_soft": (losses.bce, oracle.binary_cross_entropy, P.sigmoid(), SOFT),
    "logits": (losses.bce_with_logits, oracle.binary_cross_entropy_with_logits, 30 * P, BITS),
    "logits_soft": (losses.bce_with_logits, oracle.binary_cross_entropy_with_logits, P, SOFT),
    "cce": (losses.cce, nll, P.softmax(-1), ONE_HOT),
    "sparse_cce": (losses.sparse_cce, nll, P.softmax(-1), LABELS),
    "cce_logits": (losses.cce_with_logits, oracle.cross_entropy, 30 * P, ONE_HOT),
    "sparse_cce_logits": (losses.sparse_cce_with_logits, oracle.cross_entropy, 30 * P, LABELS),
    "perceptron": (losses.perceptron_loss, margin(0.0), P, SIGNS),
    "hinge": (losses.hinge, margin(1.0), P, SIGNS),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_value_and_gradient_equal_torch(case, reduction):
    ours, torchs, prediction, target = case
    own = prediction.clone().requires_grad_()
    other = prediction.clone().requires_grad_()
    value = ours(own, target, reduction=reduction)
    expected = torchs(other, target, reduction=reduction)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        torch.autograd.grad(value.sum(), own), torch.autograd.grad(expected.sum(), other)
    )


def test_cost_is_the_mean_of_the_losses(case):
    """LOS-16."""
    ours, _, prediction, target = case
    torch.testing.assert_close(
        ours(prediction, target), ours(prediction, target, reduction="none").mean()
    )


def test_stack_equals_each_run(case):
    ours, _, prediction, target = case
    stacked = vmap(ours)(torch.stack([prediction, 0.9 * prediction]), torch.stack([target, target]))
    torch.testing.assert_close(stacked[0], ours(prediction, target))
    torch.testing.assert_close(stacked[1], ours(0.9 * prediction, target))


def scalar_grad(loss, at, target):
    """Return d loss/d prediction for one number and its target."""
    at, target = torch.tensor([at], dtype=torch.float64), torch.tensor([target]).double()
    return float(grad(lambda p: loss(p, target))(at))


def test_gradients_are_those_of_the_notes():
    """LOS-01: -2 (y - p); E33: half of it with the factor 1/2; LOS-07: p - y of the score."""
    assert scalar_grad(losses.mse, 0.3, 2.0) == pytest.approx(-3.4)
    assert scalar_grad(losses.half_mse, 0.3, 2.0) == pytest.approx(-1.7)
    for target in (0.0, 1.0, 0.25):
        expected = 1 / (1 + math.exp(-0.3)) - target
        assert scalar_grad(losses.bce_with_logits, 0.3, target) == pytest.approx(expected)


def test_gradient_of_cross_entropy_is_probability_minus_target():
    gradient = grad(lambda z: losses.cce_with_logits(z, ONE_HOT))(P)
    torch.testing.assert_close(gradient, (P.softmax(-1) - ONE_HOT) / len(P))


def test_absolute_error_is_flat_where_it_has_no_derivative():
    """LOS-04; the notes say nothing about y = p."""
    assert scalar_grad(losses.mae, 1.5, 1.5) == 0.0


def test_squared_error_is_least_at_the_mean_and_absolute_error_at_the_median():
    """LOS-03 and LOS-04: why an outlier moves one and not the other."""
    y = torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])
    assert float(grad(lambda p: losses.mse(p, y))(y.mean())) == pytest.approx(0.0, abs=1e-5)
    assert float(grad(lambda p: losses.mae(p, y))(y.median())) == 0.0


def test_scaling_the_unit_scales_squared_error_by_the_square():
    """LOS-03."""
    torch.testing.assert_close(losses.mse(10 * P, 10 * Y), 100 * losses.mse(P, Y))


@pytest.mark.parametrize("delta", [0.1, 1.0, 2.5])
def test_huber_is_continuous_in_value_and_slope_at_delta(delta):
    """LOS-05 and E5: the factor is 1/2."""
    step = 1e-7
    below, above = torch.tensor([delta - step, delta + step], dtype=torch.float64).unbind()
    zero = torch.zeros((), dtype=torch.float64)
    loss = losses.huber
    assert float(loss(below, zero, delta)) == pytest.approx(delta**2 / 2, abs=delta * 2 * step)
    assert float(loss(above, zero, delta)) == pytest.approx(delta**2 / 2, abs=delta * 2 * step)
    slope = grad(lambda p: loss(p, zero, delta))
    assert float(slope(below)) == pytest.approx(float(slope(above)), abs=2 * step)
    assert float(slope(torch.tensor(delta, dtype=torch.float64))) == pytest.approx(delta)


@pytest.mark.parametrize("delta", [0.3, 4.0])
def test_huber_equals_torch_for_any_delta(delta):
    expected = oracle.huber_loss(P, Y, delta=delta)
    torch.testing.assert_close(losses.huber(P, Y, delta), expected)


def test_huber_is_squared_error_at_one_end_and_absolute_error_at_the_other():
    """LOS-06: the choice of delta decides, not the data alone."""
    torch.testing.assert_close(losses.huber(P, Y, 1e3), losses.half_mse(P, Y))
    # huber/delta = |e| - delta/2 beyond delta, so within delta/2 of the absolute error.
    torch.testing.assert_close(losses.huber(P, Y, 1e-9) / 1e-9, losses.mae(P, Y), rtol=0, atol=1e-9)


def test_bce_without_the_brackets_of_the_notes_is_another_function():
    """E7: the printed sign makes a right answer for class 0 cost less than nothing."""
    p, y = torch.tensor(0.25), torch.tensor(0.0)
    printed = -y * p.log() - -((1 - y) * (1 - p).log())
    assert float(printed) == pytest.approx(-float(losses.bce(p, y)))


def test_cross_entropy_of_three_classes_expanded():
    """LOS-09: -y1 log p1 - y2 log p2 - y3 log p3."""
    p, y = torch.tensor([[0.2, 0.5, 0.3]]), torch.tensor([[0.0, 1.0, 0.0]])
    assert float(losses.cce(p, y)) == pytest.approx(-math.log(0.5))


def test_cross_entropy_of_two_classes_is_the_binary_one():
    z = torch.tensor([[0.4, -1.1], [2.0, 2.5]], dtype=torch.float64)
    y = torch.tensor([0, 1])
    binary = losses.bce_with_logits(z[:, 1] - z[:, 0], y.double())
    torch.testing.assert_close(losses.sparse_cce_with_logits(z, y), binary)


def test_sparse_and_one_hot_targets_give_one_loss():
    """LOS-10; the difference that the course notes' row allows is 1e-6."""
    z = 5 * torch.randn(50, 10, generator=torch.Generator().manual_seed(1))
    y = torch.randint(10, (50,), generator=torch.Generator().manual_seed(2))
    dense = losses.cce_with_logits(z, losses.one_hot(y, 10))
    assert abs(float(dense - losses.sparse_cce_with_logits(z, y))) < 1e-6


@pytest.mark.parametrize(("score", "sign"), [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_perceptron_loss_in_the_four_cases(score, sign):
    """LOS-11 and E6: 0 when right and 1 when wrong, where the notes print 0 for all."""
    z, y = torch.tensor(float(score)), torch.tensor(float(sign))
    assert float(losses.perceptron_loss(z, y)) == (0.0 if score == sign else 1.0)
    assert float(losses.hinge(z, y)) == (0.0 if score == sign else 2.0)


def test_zero_weights_are_a_trivial_minimum_of_the_perceptron_loss_only():
    """LOS-12."""
    assert float(losses.perceptron_loss(torch.zeros(4, 1), SIGNS[:4, :1])) == 0.0
    assert float(losses.hinge(torch.zeros(4, 1), SIGNS[:4, :1])) == 1.0


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_row_on_the_line_counts_as_wrong(sign):
    """E20: or a perceptron with zero weights would never start."""
    assert scalar_grad(losses.perceptron_loss, 0.0, sign) == -sign


LOGIT_FORMS = {
    "bce": (losses.bce_with_logits, torch.tensor([[1.0], [0.0]])),
    "cce": (losses.cce_with_logits, torch.tensor([[1.0, 0.0], [0.0, 1.0]])),
    "sparse_cce": (losses.sparse_cce_with_logits, torch.tensor([0, 1])),
}


@pytest.mark.parametrize("name", LOGIT_FORMS)
@pytest.mark.parametrize("size", [0.0, 20.0, 100.0, 1000.0])
def test_logit_form_has_finite_derivatives_of_all_orders(name, size):
    loss, target = LOGIT_FORMS[name]
    z = torch.full((2, 1 if name == "bce" else 2), size)
    z[:, 0] *= -1

    def cost(score):
        return loss(score, target)

    assert torch.isfinite(cost(z))
    assert torch.isfinite(grad(cost)(z)).all()
    curvature = jacrev(grad(cost))(z).reshape(z.numel(), z.numel())
    assert torch.isfinite(curvature).all()
    assert float(torch.linalg.eigvalsh(curvature).min()) > -1e-7  # convex in the score


def test_logit_form_learns_from_exact_zero():
    """A net with zero weights scores 0, where the derivatives of max and |z| are conventions."""
    assert scalar_grad(losses.bce_with_logits, 0.0, 1.0) == -0.5
    assert scalar_grad(losses.bce_with_logits, 0.0, 0.0) == 0.5


def test_logit_form_keeps_the_digits_of_a_small_loss():
    z = torch.tensor([20.0, -20.0])
    value = losses.bce_with_logits(z, torch.tensor([1.0, 0.0]), "none")
    torch.testing.assert_close(value, torch.full((2,), math.log1p(math.exp(-20))))


@pytest.mark.parametrize("name", ["bce", "cce", "sparse_cce"])
def test_certain_and_wrong_probability_costs_much_but_finitely(name):
    p = torch.tensor([[1.0, 0.0]]).requires_grad_()
    target = torch.tensor([1]) if name == "sparse_cce" else torch.tensor([[0.0, 1.0]])
    value = getattr(losses, name)(p, target)
    (gradient,) = torch.autograd.grad(value, p)
    assert 15 < value.item() < 100
    assert torch.isfinite(gradient).all()
