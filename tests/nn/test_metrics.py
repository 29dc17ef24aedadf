"""Metrics on hand-made values (LOS-15, E34, GRD-09)."""

import pytest
import torch

from optlab.nn import losses
from optlab.nn.metrics import accuracy, dead_unit_fraction, mae, rmse

Y = torch.tensor([[1.0], [2.0], [4.0]])
P = torch.tensor([[1.0], [4.0], [1.0]])


def test_accuracy_is_the_share_of_equal_labels():
    value = accuracy(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2]))
    assert value.shape == ()
    assert float(value) == 0.75


def test_rmse_squared_is_the_mse():
    assert float(rmse(P, Y)) ** 2 == pytest.approx(float(losses.mse(P, Y)))
    assert float(rmse(P, Y)) == pytest.approx((13 / 3) ** 0.5)


def test_mae_is_the_mean_absolute_error():
    assert float(mae(P, Y)) == pytest.approx(5 / 3)


@pytest.mark.parametrize("metric", [rmse, mae])
def test_errors_have_the_unit_of_the_target(metric):
    torch.testing.assert_close(metric(10 * P, 10 * Y), 10 * metric(P, Y))


def test_dead_unit_has_slope_zero_in_every_row():
    slopes = torch.tensor([[0.0, 0.0, 1.0, 0.01], [0.0, 1.0, 1.0, 0.01]])
    assert float(dead_unit_fraction(slopes)) == 0.25


def test_metrics_work_on_stacked_runs():
    predicted = torch.tensor([[0, 1], [1, 1]])
    labels = torch.tensor([[0, 0], [1, 1]])
    assert torch.vmap(accuracy)(predicted, labels).tolist() == [0.5, 1.0]
