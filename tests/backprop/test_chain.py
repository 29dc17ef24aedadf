"""The factors of the chain rule, and what they multiply to (GRD-02, GRD-06, E26)."""

import math

import pytest
import torch

from optlab.backprop import UnitChain, sigmoid_slope


def float64(number):
    return torch.tensor(number, dtype=torch.float64)


def chain(weights=(0.7, -1.3, 2.1), biases=(0.2, 0.5, -0.4)):
    return UnitChain([float64(w) for w in weights], [float64(b) for b in biases])


def test_slope_of_the_sigmoid_is_a_quarter_at_most():
    z = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    slopes = sigmoid_slope(z)
    assert sigmoid_slope(float64(0.0)) == 0.25
    assert 0 < slopes.min() < slopes.max() == 0.25


def test_a_factor_is_the_slope_of_the_sum_times_the_weight():
    """GRD-02, written out for three layers: dO31/dO21, dO21/dO11, dO11/dw_11."""
    x = float64(0.9)
    z1, z2, z3 = chain().sums(x)
    expected = [sigmoid_slope(z3) * 2.1, sigmoid_slope(z2) * -1.3, sigmoid_slope(z1) * x]
    torch.testing.assert_close(chain().factors(x), expected)
    assert z3 == 2.1 * torch.sigmoid(z2) - 0.4


def test_product_of_the_factors_equals_autograd():
    """GRD-02."""
    x, y = float64(0.9), float64(0.3)
    parts = chain()
    leaf = parts.weights[0].clone().requires_grad_()
    output = x
    for w, b in zip([leaf, *parts.weights[1:]], parts.biases, strict=True):
        output = torch.sigmoid(w * output + b)
    (slope,) = torch.autograd.grad(output, leaf, retain_graph=True)
    (whole,) = torch.autograd.grad((y - output).square(), leaf)
    torch.testing.assert_close(math.prod(parts.factors(x)), slope, rtol=1e-14, atol=0)
    torch.testing.assert_close(parts.gradient(x, y), whole, rtol=1e-14, atol=0)


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_a_weight_of_500_multiplies_the_gradient_by_125_a_layer(depth):
    """GRD-06 and E26: 0.25 * 500 = 125."""
    x = float64(1.0)
    *later, first = UnitChain.balanced(500.0, depth, x).factors(x)
    assert later == [125.0] * (depth - 1)
    assert first == 0.25
    assert math.prod(later) == 125.0 ** (depth - 1)


@pytest.mark.parametrize("depth", [3, 10])
def test_a_weight_of_one_divides_the_gradient_by_four_a_layer(depth):
    """GRD-02: 0.25^10 = 9.5e-7."""
    x = float64(1.0)
    assert math.prod(UnitChain.balanced(1.0, depth, x).factors(x)) == 0.25**depth


def test_an_exploded_gradient_moves_the_weight_by_more_than_100_times_itself():
    """GRD-06: w_new = w_old - eta * huge, at eta = 0.01."""
    x, y = float64(1.0), float64(0.0)
    parts = UnitChain.balanced(500.0, 5, x)
    moved = 0.01 * parts.gradient(x, y)
    # -2 (0 - 0.5) * 125^4 * 0.25
    assert parts.gradient(x, y) == 125.0**4 / 4
    assert moved.abs() > 100 * parts.weights[0].abs()
