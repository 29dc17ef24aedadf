"""What is special to losses of the difference."""

import pytest
import torch

from optlab.config import ConfigError
from optlab.nn import losses
from optlab.nn.losses import MAE, MSE, HalfMSE, Huber


def test_sigmoid_head_is_applied_to_the_score():
    z, y = torch.tensor([[0.4], [-2.0]]), torch.tensor([[1.0], [0.0]])
    torch.testing.assert_close(MSE(head="sigmoid")(z, y), losses.mse(z.sigmoid(), y))
    torch.testing.assert_close(MSE()(z, y), losses.mse(z, y))


@pytest.mark.parametrize(
    ("loss", "function"),
    [(MSE(), losses.mse), (HalfMSE(), losses.half_mse), (MAE(), losses.mae)],
)
def test_row_is_the_mean_over_its_outputs(loss, function):
    z, y = torch.tensor([[1.0, 2.0], [0.0, 5.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(loss.per_sample(z, y), function(z, y, "none").mean(-1))


def test_huber_passes_its_delta_on():
    z, y = torch.tensor([[3.0]]), torch.tensor([[0.0]])
    assert float(Huber(delta=0.5)(z, y)) == pytest.approx(0.5 * 3 - 0.125)
    assert float(Huber(delta=10.0)(z, y)) == pytest.approx(4.5)


def test_delta_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"delta must be in \(0, inf\), got 0.0 \(loss.delta\)"):
        Huber(delta=0.0)


def test_two_classes_are_one_column_and_more_are_one_hot():
    assert MSE().encode(torch.tensor([1, 0]), 2).tolist() == [[1.0], [0.0]]
    assert MSE().encode(torch.tensor([1, 2]), 3).tolist() == [[0, 1, 0], [0, 0, 1]]
