"""The loss of a test function."""

import pytest
import torch
from torch.func import grad

from optlab.config import ConfigError, options_of
from optlab.nn.losses import Objective
from optlab.registry import losses


def bowl(points):
    return points.square().sum(-1) / 2


LOSS = Objective(bowl)
POINTS = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
NOISE = torch.tensor([[0.5, 0.0], [0.0, -0.5]])


def test_row_is_the_function_plus_noise_times_point():
    torch.testing.assert_close(LOSS.per_sample(POINTS, NOISE), torch.tensor([3.0, 5.5]))
    assert float(LOSS(POINTS, NOISE)) == 4.25


def test_noise_is_added_to_the_gradient():
    gradient = grad(lambda p: LOSS(p, NOISE))(POINTS)
    torch.testing.assert_close(gradient, (POINTS + NOISE) / 2)


def test_function_is_no_option_of_a_configuration():
    assert options_of(Objective) == {}
    assert losses.get("objective") is Objective
    assert LOSS.head == "identity"
    assert torch.equal(LOSS.activate(POINTS), POINTS)


def test_labels_are_refused():
    LOSS.check_targets(None)
    for call in (
        lambda: LOSS.check_targets(2),
        lambda: LOSS.num_outputs(2),
        lambda: LOSS.encode(torch.tensor([0]), 2),
        lambda: LOSS.predict(POINTS),
        lambda: LOSS.labels(NOISE),
    ):
        with pytest.raises(ConfigError, match="test functions, which have no labels"):
            call()
