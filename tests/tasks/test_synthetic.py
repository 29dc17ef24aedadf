import math

import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks import Data
from optlab.tasks.synthetic import Blobs, Spirals


def all_rows(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    splits = (data.train, data.val, data.test)
    return torch.cat([s.x for s in splits]), torch.cat([s.y for s in splits])


@pytest.mark.parametrize("task", [Blobs(rows=1000, centers=5), Spirals(rows=1000)])
def test_classes_are_equal_over_all_rows_and_in_proportion_in_each_split(task):
    data = task.load()
    counts = all_rows(data)[1].bincount()
    assert counts.tolist() == [1000 // len(counts)] * data.num_classes
    for split in (data.train, data.val, data.test):
        expected = len(split) / data.num_classes
        assert (split.y.bincount() - expected).abs().max() <= 4  # two cuts, each within 2 rows


def test_blobs_without_spread_are_their_centers():
    x, y = all_rows(Blobs(rows=60, centers=4, features=3, spread=0.0).load())
    assert x.shape == (60, 3)
    assert len(torch.cat([x, y[:, None]], 1).unique(dim=0)) == 4
    assert x.abs().max() <= 1


def test_blobs_have_the_spread_that_was_asked_for():
    x, y = all_rows(Blobs(rows=6000, centers=2, spread=0.5).load())
    deviation = torch.stack([x[y == c].std(0) for c in (0, 1)])
    # of 3000 draws the standard deviation is known to 1.3 percent; four times that
    assert (deviation / 0.5 - 1).abs().max() < 0.052


def test_one_blob_is_no_classification():
    with pytest.raises(ConfigError, match=r"centers must be in \[2, 1048576\], got 1"):
        Blobs(centers=1)


def test_a_spiral_winds_by_its_turns_and_the_other_is_half_a_circle_off():
    x, y = all_rows(Spirals(noise=0.0, turns=2.0).load())
    radius = x.norm(dim=1)
    unwound = torch.atan2(x[:, 1], x[:, 0]) - 2 * math.pi * 2.0 * radius - math.pi * y
    assert radius.max() < 1
    assert (unwound.cos() - 1).abs().max() < 1e-4  # the angle is 0, up to whole turns


def test_noise_leaves_the_curve_by_its_deviation():
    clean, noisy = (all_rows(Spirals(rows=5000, noise=n).load())[0] for n in (0.0, 0.3))
    # of 10,000 draws the standard deviation is known to 0.7 percent; four times that
    assert (noisy - clean).std().item() == pytest.approx(0.3, rel=0.03)
