"""The network with nine parameters: nine derivatives, and where training ends (BPR-02 .. 07)."""

import pytest
import torch

from optlab.backprop import TwoTwoOne, random_rows, train_backprop, update
from optlab.config import ConfigError
from tests.backprop.slopes import by_autograd, by_differences

NETWORK = TwoTwoOne()


def float64(rows):
    return torch.tensor(rows, dtype=torch.float64)


def golden():
    """Return parameters with z11 = z12 = 0 for the row (2, 4): both hidden units give 1/2."""
    numbers = {
        "w1_11": 1, "w1_12": 2, "w1_21": 1, "w1_22": -1,
        "w2_11": 4, "w2_21": -2, "b11": -6, "b12": 0, "b21": 1,
    }  # fmt: skip
    return {name: float64(numbers[name]) for name in TwoTwoOne.NAMES}


def rows(num, seed=0):
    x = torch.randn(num, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, x[:, 0] * x[:, 1]


def test_has_nine_parameters():
    params = NETWORK.draw(seed=0)
    assert tuple(params) == TwoTwoOne.NAMES
    assert sum(value.numel() for value in params.values()) == 9


def test_nine_derivatives_by_hand():
    """BPR-03: yhat = 4/2 - 2/2 + 1 = 2, y = 5, so -2 (y - yhat) = -6; O (1 - O) = 1/4."""
    params = golden()
    activations = NETWORK.forward(params, float64([2, 4]))
    assert [float(value) for value in activations] == [2, 4, 0.5, 0.5, 2]
    assert NETWORK.loss(activations, float64(5)) == 9
    gradients = NETWORK.backward(params, activations, float64(5))
    assert {name: float(value) for name, value in gradients.items()} == {
        "w1_11": -6 * 4 / 4 * 2,
        "w1_12": -6 * -2 / 4 * 2,
        "w1_21": -6 * 4 / 4 * 4,
        "w1_22": -6 * -2 / 4 * 4,
        "w2_11": -6 * 0.5,
        "w2_21": -6 * 0.5,
        "b11": -6 * 4 / 4,
        "b12": -6 * -2 / 4,
        "b21": -6,
    }


def test_update_of_an_output_weight_by_hand():
    """BPR-03: w = w - eta (-2 (y - yhat) O11) = 4 - 0.5 * -3."""
    params = golden()
    gradients = NETWORK.backward(params, NETWORK.forward(params, float64([2, 4])), float64(5))
    assert update(params, gradients, lr=0.5)["w2_11"] == 5.5


@pytest.mark.parametrize("seed", range(5))
def test_derivatives_equal_autograd_and_differences(seed):
    """BPR-02, for each of five rows."""
    params, (x, y) = NETWORK.draw(seed), rows(5, seed)
    for row, target in zip(x, y, strict=True):
        gradients = NETWORK.backward(params, NETWORK.forward(params, row), target)
        assert gradients.keys() == params.keys()
        autograd, differences = (
            f(NETWORK, params, row, target) for f in (by_autograd, by_differences)
        )
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, autograd[name], rtol=1e-12, atol=1e-12)
            # width^2 = 1e-10 times a third derivative, plus 1e-16 / 1e-5 of rounding.
            torch.testing.assert_close(gradient, differences[name], rtol=1e-8, atol=1e-8)


def test_loss_depends_on_parameters_through_yhat_alone():
    """BPR-06: networks with one yhat have one loss and one slope by b21, whatever their weights."""
    other = golden() | {"w2_11": float64(0), "w2_21": float64(0), "b21": float64(2)}
    ends = [NETWORK.forward(params, float64([2, 4])) for params in (golden(), other)]
    losses = [NETWORK.loss(end, float64(5)) for end in ends]
    slopes = [NETWORK.backward(golden(), end, float64(5))["b21"] for end in ends]
    assert losses[0] == losses[1]
    assert slopes[0] == slopes[1]


def test_rows_of_a_batch_give_a_gradient_each():
    params, (x, y) = NETWORK.draw(seed=0), rows(5)
    batch = NETWORK.backward(params, NETWORK.forward(params, x), y)
    for number in range(5):
        one = NETWORK.backward(params, NETWORK.forward(params, x[number]), y[number])
        for name, gradient in one.items():
            torch.testing.assert_close(batch[name][number], gradient, rtol=1e-14, atol=0)


def test_targets_are_not_broadcast():
    params, (x, y) = NETWORK.draw(seed=0), rows(5)
    with pytest.raises(ConfigError, match=r"outputs, \(5,\), got \(5, 1\)"):
        NETWORK.backward(params, NETWORK.forward(params, x), y[:, None])


def test_most_seeds_reach_the_best_loss_and_some_never_do():
    """BPR-07: "reaches the global minimum" holds for most random starts, not for all.

    Of 40 starts on x1 x2, 23 end within a tenth of the best loss, 0.144, and 9 above 0.38, more
    than twice it. The 9 are the same after 300 and after 4000 epochs: they wait for nothing.
    """
    x, y = rows(50)
    seeds = range(40)
    starts = [NETWORK.draw(seed) for seed in seeds]
    params = {name: torch.stack([start[name] for start in starts]) for name in TwoTwoOne.NAMES}
    order = torch.stack([random_rows(50, 300, seed) for seed in seeds], dim=-1)
    trained, _ = train_backprop(NETWORK, params, x, y, order, lr=0.05)
    errors = NETWORK.forward(trained, x[:, None, :].expand(-1, len(seeds), -1)).yhat - y[:, None]
    cost = errors.square().mean(0)
    best = cost.min()
    assert best < 0.15
    assert 16 <= (cost < 1.1 * best).sum() <= 30
    assert 5 <= (cost > 2 * best).sum() <= 13
