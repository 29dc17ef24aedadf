"""Sigmoid layers by hand: golden values, gradients, the losses' factors (MLP-01 .. 06, BPR-04)."""

import math

import pytest
import torch

from optlab.backprop import LOSSES, Layers, named_numbers, propagate, propagate_row, update
from optlab.config import ConfigError
from tests.backprop.slopes import by_autograd, by_differences

LN3 = math.log(3)  # sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4


def float64(rows):
    return torch.tensor(rows, dtype=torch.float64)


def golden():
    """Return a 4-3-2-1 network whose sums z for the row (1, 2, 3, 4) are 0, ln 3 or -ln 3."""
    return {
        "W1": float64([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]),
        "b1": float64([-5, LN3 - 6, -LN3 - 7]),
        "W2": float64([[2, 4], [4, 0], [8, 4]]),
        "b2": float64([-6, LN3 - 3]),
        "W3": float64([[4], [4]]),
        "b3": float64([-LN3 - 5]),
    }


def rows(num, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, width, generator=generator, dtype=torch.float64)


def bits(num, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (num, width), generator=generator).double()


def test_four_three_two_one_has_26_parameters():
    """MLP-02: (12 + 3) + (6 + 2) + (2 + 1)."""
    params = Layers().draw((4, 3, 2, 1), seed=0)
    assert [value.numel() for value in params.values()] == [12, 3, 6, 2, 2, 1]
    assert len(named_numbers(params)) == 26


def test_numbers_have_the_names_of_the_notes():
    """MLP-01: w^k_ij enters layer k from node i to node j; b_kj belongs to node j of layer k."""
    params = golden()
    names = named_numbers(params)
    assert list(names)[:4] == ["w1_11", "w1_12", "w1_13", "w1_21"]
    assert list(names)[-3:] == ["w3_11", "w3_21", "b31"]
    assert names["w2_31"] == params["W2"][2, 0] == 8
    assert names["b12"] == params["b1"][1]


@pytest.mark.parametrize("sizes", [(11, 2), (2, 11, 12), (1, 111, 1), (2,) * 12], ids=str)
def test_no_two_numbers_have_one_name(sizes):
    params = Layers().draw(sizes, seed=0)
    assert len(named_numbers(params)) == sum(value.numel() for value in params.values())


def test_a_comma_parts_indices_where_one_is_above_9():
    params = Layers().draw((2, 11, 9), seed=0)
    names = named_numbers(params)
    assert names["w1_1,11"] == params["W1"][0, 10]
    assert names["w2_11,1"] == params["W2"][10, 0]
    assert names["b1,11"] == params["b1"][10]
    assert {"b1,1", "b29"} < names.keys()


def test_outputs_of_a_row_by_hand():
    """MLP-04 to MLP-06; z_1 = (5, 6, 7) + b1, z_2 = (6, 3) + b2, z_3 = 5 + b3."""
    outputs = propagate_row(golden(), float64([1, 2, 3, 4]))
    expected = [[1, 2, 3, 4], [0.5, 0.75, 0.25], [0.5, 0.75], [0.25]]
    assert [o.tolist() for o in outputs] == [pytest.approx(row) for row in expected]


def test_batch_equals_the_loop_over_rows():
    params, x = Layers().draw((4, 3, 2, 1), seed=0), rows(7, 4)
    looped = [torch.stack(o) for o in zip(*(propagate_row(params, row) for row in x), strict=True)]
    for batch, loop in zip(propagate(params, x), looped, strict=True):
        torch.testing.assert_close(batch, loop, rtol=1e-14, atol=0)


def test_cross_entropy_sends_back_a_minus_y_by_hand():
    """BPR-05: (a3 - y) a2^T, then W3^T (a3 - y) * a2 (1 - a2) times a1^T."""
    network, params = Layers("bce"), golden()
    outputs = network.forward(params, float64([1, 2, 3, 4]))
    gradients = network.backward(params, outputs, float64([1]))
    # a3 - y = -3/4; dL/dz2 = -3 * (1/4, 3/16).
    expected = {
        "b3": [-0.75],
        "W3": [[-0.375], [-0.5625]],
        "b2": [-0.75, -0.5625],
        "W2": [[-0.375, -0.28125], [-0.5625, -0.421875], [-0.1875, -0.140625]],
    }
    for name, value in expected.items():
        torch.testing.assert_close(gradients[name], float64(value))


def test_layers_hand_back_the_slope_by_their_sums():
    """BPR-04 and BPR-05 as the notes lay matrices out: a column per row of ours, W transposed."""
    network, x, y = Layers("bce"), rows(7, 4), bits(7, 1)
    params = network.draw((4, 3, 2, 1), seed=3)
    outputs = network.forward(params, x)
    a0, a1, a2, a3 = (output.T for output in outputs)
    W2, W3 = params["W2"].T, params["W3"].T
    dz3 = a3 - y.T
    dz2 = W3.T @ dz3 * a2 * (1 - a2)
    dz1 = W2.T @ dz2 * a1 * (1 - a1)
    gradients = network.backward(params, outputs, y)
    for k, dz, entering in [(3, dz3, a2), (2, dz2, a1), (1, dz1, a0)]:
        torch.testing.assert_close(gradients[f"W{k}"], (dz @ entering.T).T)
        torch.testing.assert_close(gradients[f"b{k}"], dz.sum(1))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sizes", [(4, 3, 2, 1), (3, 2), (2, 5, 4, 3, 2)], ids=str)
def test_gradients_equal_autograd_and_differences(loss, sizes):
    network, x, y = Layers(loss), rows(6, sizes[0]), bits(6, sizes[-1])
    params = network.draw(sizes, seed=0)
    gradients = network.backward(params, network.forward(params, x), y)
    assert gradients.keys() == params.keys()
    autograd, differences = (f(network, params, x, y) for f in (by_autograd, by_differences))
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, autograd[name], rtol=1e-12, atol=1e-12)
        # width^2 = 1e-10 times a third derivative, plus 1e-16 / 1e-5 of rounding.
        torch.testing.assert_close(gradient, differences[name], rtol=1e-8, atol=1e-8)


def test_a_row_alone_is_a_batch_of_one():
    network, x, y = Layers(), rows(1, 4), bits(1, 1)
    params = network.draw((4, 3, 2, 1), seed=0)
    one = network.backward(params, network.forward(params, x[0]), y[0])
    batch = network.backward(params, network.forward(params, x), y)
    for name in params:
        torch.testing.assert_close(one[name], batch[name], rtol=1e-14, atol=0)


@pytest.mark.parametrize(("other", "factor"), [("half_squared", 2), ("mean_squared", 7)])
def test_squared_errors_of_the_notes_differ_by_2_and_n(other, factor):
    """E33: a rate ``factor`` times as large makes the same step."""
    x, y = rows(7, 4), bits(7, 1)
    params = Layers().draw((4, 3, 2, 1), seed=0)

    def stepped(loss, lr):
        network = Layers(loss)
        return update(params, network.backward(params, network.forward(params, x), y), lr)

    ours, theirs = stepped("squared", 0.1), stepped(other, 0.1 * factor)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-13, atol=1e-15)
        assert not torch.equal(value, params[name])


def test_a_certain_and_right_output_costs_nothing():
    """sigmoid(800) is 1 exactly, and 0 log 0 is 0 here."""
    network, params = Layers("bce"), {"W1": float64([[800]]), "b1": float64([0])}
    outputs = network.forward(params, float64([[1]]))
    assert network.loss(outputs, float64([[1]])) == 0
    assert network.backward(params, outputs, float64([[1]]))["W1"] == 0


def test_targets_are_not_broadcast():
    network, x = Layers(), rows(5, 4)
    params = network.draw((4, 3, 1), seed=0)
    outputs = network.forward(params, x)
    assert network.loss(outputs, bits(5, 1)[:, 0]) == network.loss(outputs, bits(5, 1))
    for y in (bits(1, 5), bits(1, 1)):
        for function in (network.loss, lambda o, y: network.backward(params, o, y)):
            with pytest.raises(ConfigError, match=r"outputs, \(5, 1\), got \(1, "):
                function(outputs, y)


def test_unknown_loss_is_refused():
    with pytest.raises(ConfigError, match="half_squared"):
        Layers("half_square")
