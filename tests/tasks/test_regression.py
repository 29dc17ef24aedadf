import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks import Split
from optlab.tasks.regression import OUTLIER_SHIFT, Line, UnequalScales


def with_ones(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], dim=1).double()


def least_squares(split: Split) -> torch.Tensor:
    return torch.linalg.lstsq(with_ones(split.x), split.y.double()).solution[:, 0]


def condition_number(split: Split) -> float:
    """Return that of the Hessian of the mean squared error, bias included."""
    design = with_ones(split.x)
    return torch.linalg.cond(design.T @ design).item()


def test_a_clean_line_is_found_by_least_squares():
    error = least_squares(Line().load().train) - torch.tensor([3.0, 1.0])
    # noise 0.1 over 300 rows: deviations 0.010 of the slope and 0.006 of the intercept
    assert error.abs().max() < 0.04


def test_ten_percent_outliers_move_the_squared_error_by_three():
    error = least_squares(Line(outliers=0.1).load().train) - torch.tensor([3.0, 1.0])
    # the intercept rises by 0.1 * 30; the slope feels chance alone, with deviation about 0.9
    assert error[1].item() == pytest.approx(3.0, abs=0.4)
    assert error.norm() > 2.5


def test_outliers_are_counted_and_lie_in_training_rows_only():
    clean, spoiled = Line().load(), Line(outliers=0.1).load()
    shift = spoiled.train.y - clean.train.y
    assert spoiled.notes == {"outlier_rows": 30.0}
    assert (shift > 1).sum() == 30
    torch.testing.assert_close(shift[shift > 1], torch.full((30,), OUTLIER_SHIFT))
    assert shift[shift <= 1].abs().max() == 0
    assert torch.equal(spoiled.val.y, clean.val.y)
    assert torch.equal(spoiled.test.y, clean.test.y)


def test_a_share_above_one_is_refused():
    with pytest.raises(ConfigError, match=r"outliers must be in \[0, 1\], got 1.5"):
        Line(outliers=1.5)


def test_noise_is_the_residual_of_the_line():
    data = Line(rows=20_000, noise=0.5).load()
    residual = data.train.y - 3 * data.train.x - 1
    assert residual.std().item() == pytest.approx(0.5, rel=0.03)  # five standard errors


def test_unequal_scales_are_1_and_30_around_5_and_100():
    x = UnequalScales(rows=20_000).load().train.x
    # 12,000 rows: standard errors of 0.9 percent of each scale; five times that
    torch.testing.assert_close(x.mean(0), torch.tensor([5.0, 100.0]), rtol=0.02, atol=0.0)
    torch.testing.assert_close(x.std(0), torch.tensor([1.0, 30.0]), rtol=0.05, atol=0.0)


def test_standardizing_takes_the_condition_number_from_1e5_to_1():
    raw, scaled = UnequalScales(), UnequalScales(standardize=True)
    assert condition_number(raw.load().train) > 1e5
    assert condition_number(scaled.load().train) < 1.2  # 600 rows: chance correlation only


def test_targets_are_linear_in_the_features_before_noise():
    train = UnequalScales(noise=0.0).load().train
    expected = 3 * (train.x[:, :1] - 5) - 2 * (train.x[:, 1:] - 100) / 30 + 1
    torch.testing.assert_close(train.y, expected, rtol=0.0, atol=1e-4)  # float32 of 100
