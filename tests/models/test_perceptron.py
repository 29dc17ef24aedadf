"""The perceptron's rules, its geometry, and its equality with gradient descent (PER-01 .. 08)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab import seeding
from optlab.config import ConfigError
from optlab.models import Line, ModelContext, Perceptron
from optlab.models.perceptron import build_perceptron, two_branch_direction, unified_direction
from optlab.nn import ReLU
from optlab.registry import losses

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, OR, XOR = (torch.tensor(bits) for bits in ([0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]))
FITS = [Perceptron.fit_two_branch, Perceptron.fit_unified]
COEFFICIENTS = st.floats(min_value=0.1, max_value=10) | st.floats(min_value=-10, max_value=-0.1)


def correct(model, y):
    return int((model.predict(CORNERS) == y).sum())


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("y", [AND, OR], ids=["and", "or"])
def test_learns_what_a_line_separates(fit, y):
    """PER-02: 20 of 20 seeds."""
    assert all(correct(fit(Perceptron(2), CORNERS, y, seed=seed), y) == 4 for seed in range(20))


@pytest.mark.parametrize("fit", FITS)
def test_never_solves_xor(fit):
    """PER-03."""
    assert all(correct(fit(Perceptron(2), CORNERS, XOR, seed=seed), XOR) < 4 for seed in range(20))


def test_both_rules_are_one_away_from_the_line():
    """PER-07, by the table y, step(z), y - step(z)."""
    for label, z in [(0, -1.0), (0, 1.0), (1, 1.0), (1, -1.0)]:
        assert two_branch_direction(label, z) == unified_direction(label, z)
    assert [unified_direction(y, z) for y, z in [(0, -1), (0, 1), (1, 1), (1, -1)]] == [0, -1, 0, 1]


def test_a_one_on_the_line_is_wrong_for_two_branches_and_right_for_the_unified_rule():
    """E20: the tie at z = 0."""
    assert [two_branch_direction(y, 0.0) for y in (0, 1)] == [-1, 1]
    assert [unified_direction(y, 0.0) for y in (0, 1)] == [-1, 0]


def test_rules_agree_on_the_same_rows_without_ties():
    """PER-06 against PER-07: weights no row of which scores 0."""
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    y = (x.sum(-1) + 0.3 > 0).long()
    first, second = Perceptron(3), Perceptron(3)
    for model in (first, second):
        model.weight = torch.tensor([0.37, -0.11, 0.23, 0.05])
    first.fit_two_branch(x, y, seed=4)
    second.fit_unified(x, y, seed=4)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, torch.tensor([0.37, -0.11, 0.23, 0.05]))


def test_step_of_descent_on_one_row_is_the_two_branch_rule():
    """The runner's perceptron: loss=perceptron, one row per batch, ties included."""
    module = build_perceptron(ModelContext((2,), 1, ReLU))
    for parameter in module.parameters():
        parameter.data.zero_()
    loss = losses.create("perceptron", {})
    target = loss.encode(OR, 2)
    stream = seeding.generator(3, "perceptron")
    for row in torch.randint(4, (50,), generator=stream).tolist():
        cost = loss(module(CORNERS[row : row + 1]), target[row : row + 1])
        slopes = torch.autograd.grad(cost, list(module.parameters()))
        for parameter, slope in zip(module.parameters(), slopes, strict=True):
            parameter.data -= 0.25 * slope
    own = Perceptron(2).fit_two_branch(CORNERS, OR, lr=0.25, num_updates=50, seed=3)
    # Multiples of 0.25 are exact in float32, so that the order of operations cannot matter.
    assert torch.equal(own.weight[1:], module.linear.weight[0])
    assert torch.equal(own.weight[:1], module.linear.bias)
    assert own.weight.abs().sum() > 0


def test_bias_is_the_weight_of_an_extra_one():
    """PER-08: z = w0 + w1 x1 + w2 x2."""
    model = Perceptron(2)
    model.weight = torch.tensor([5.0, 2.0, 3.0])
    assert model.score(torch.tensor([[4.0, 5.0]])).tolist() == [28.0]


def test_same_seed_same_weights_and_lr_only_scales_them():
    models = [
        Perceptron(2).fit_two_branch(CORNERS, XOR, lr=lr, seed=seed)
        for lr, seed in [(0.25, 0), (0.25, 0), (0.5, 0), (0.25, 1)]
    ]
    assert torch.equal(models[0].weight, models[1].weight)
    assert torch.equal(2 * models[0].weight, models[2].weight)
    assert not torch.equal(models[0].weight, models[3].weight)


def test_fit_goes_on_where_the_last_one_ended():
    model = Perceptron(2).fit_unified(CORNERS, AND)
    before = model.weight.clone()
    model.fit_unified(CORNERS, AND, seed=9)  # all four right: nothing is left to change
    assert torch.equal(model.weight, before)


def test_float64_rows_are_not_rounded():
    """1 + 2^-40 is 1 in float32, where the row would lie on the line."""
    model = Perceptron(1)
    model.weight = torch.tensor([-1.0, 1.0])
    x = torch.tensor([[1 + 2**-40]], dtype=torch.float64)
    assert model.score(x).tolist() == [2**-40]
    model.fit_two_branch(x, torch.tensor([0]), lr=2**-41, num_updates=1)
    assert model.weight.tolist() == [-1 - 2**-41, 1 - 2**-41 * (1 + 2**-40)]
    assert Perceptron(2).fit_unified(CORNERS, AND).weight.dtype == torch.float32


def test_other_labels_are_refused():
    with pytest.raises(ConfigError, match=r"labels are 0 and 1, got \[-1, 1\]"):
        Perceptron(2).fit_unified(CORNERS, torch.tensor([-1, 1, 1, -1]))


def test_several_outputs_are_refused():
    with pytest.raises(ConfigError, match="one output, and the loss asks for 3"):
        build_perceptron(ModelContext((2,), 3, ReLU))


def test_negative_point_on_the_positive_side_moves_the_line_past_itself():
    """PER-05: (2, 3, 5) - (4, 5, 1) = (-2, -2, 4); z goes from 28 to -14."""
    line = Line(2, 3, 5)
    moved = line.moved(4, 5, rate=-1)
    assert moved == (-2, -2, 4)
    assert (line.at(4, 5), moved.at(4, 5)) == (28, -14)


@given(a=COEFFICIENTS, b=COEFFICIENTS, c=COEFFICIENTS)
def test_intercepts_and_slope_lie_on_the_line(a, b, c):
    """PER-04."""
    line = Line(a, b, c)
    assert line.at(line.x_intercept, 0) == pytest.approx(0, abs=1e-12)
    assert line.at(0, line.y_intercept) == pytest.approx(0, abs=1e-12)
    rise = line.y_intercept + line.slope
    assert line.at(1, rise) == pytest.approx(0, abs=1e-10)


@given(a=COEFFICIENTS, b=COEFFICIENTS, c=COEFFICIENTS, other=COEFFICIENTS)
def test_each_coefficient_keeps_one_property(a, b, c, other):
    """PER-04: a turns about the y-intercept, b about the x-intercept, c shifts in parallel."""
    line = Line(a, b, c)
    assert line._replace(a=other).y_intercept == line.y_intercept
    assert line._replace(b=other).x_intercept == line.x_intercept
    assert line._replace(c=other).slope == line.slope
