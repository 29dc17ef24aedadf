import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks import Data
from optlab.tasks.adding import Adding


def all_rows(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    splits = (data.train, data.val, data.test)
    return torch.cat([s.x for s in splits]), torch.cat([s.y for s in splits])


def test_the_sum_of_the_marked_numbers_is_the_target():
    x, y = all_rows(Adding(length=9).load())
    expected = x[:, :, 0].masked_fill(x[:, :, 1] == 0, 0).sum(1, keepdim=True)
    assert y.shape == (2000, 1)
    torch.testing.assert_close(y, expected, rtol=0.0, atol=2**-22)  # order of the sum


@pytest.mark.parametrize("length", [2, 3, 20])
def test_one_number_is_marked_in_each_half(length):
    mark = all_rows(Adding(length=length).load())[0][:, :, 1]
    assert ((mark == 0) | (mark == 1)).all()
    assert (mark[:, : length // 2].sum(1) == 1).all()
    assert (mark[:, length // 2 :].sum(1) == 1).all()


def test_every_step_of_a_half_is_marked_as_often():
    mark = all_rows(Adding(length=10, rows=5000).load())[0][:, :, 1]
    # 1000 marks per step, of binomial deviation 28; five times that
    assert (mark.sum(0) - 1000).abs().max() < 142


def test_numbers_are_uniform_in_the_unit_interval():
    number = all_rows(Adding().load())[0][:, :, 0]
    assert 0 <= number.min() <= number.max() < 1
    # 40,000 draws: five standard deviations of mean and mean square
    assert number.mean().item() == pytest.approx(1 / 2, abs=0.0073)
    assert number.square().mean().item() == pytest.approx(1 / 3, abs=0.0075)


def test_a_constant_answer_errs_by_a_sixth():
    data = Adding(rows=50_000).load()
    error = (data.test.y - data.train.y.mean()).square().mean().item()
    assert data.notes["constant_mse"] == pytest.approx(error, rel=1e-5)  # float32 mean
    # 10,000 test rows: five deviations of a square error, 0.197 each
    assert data.notes["constant_mse"] == pytest.approx(1 / 6, abs=0.01)


@pytest.mark.parametrize(("option", "value"), [("length", 1), ("rows", 4)])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=rf"{option} must be in .*got {value}"):
        Adding(**{option: value})
