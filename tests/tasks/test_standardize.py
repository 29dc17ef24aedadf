import numpy as np
import pytest
import torch

from optlab import seeding
from optlab.tasks import Split
from optlab.tasks.standardize import Standardizer, standardize_splits


def normal(*size: int, purpose: str = "x") -> torch.Tensor:
    return torch.randn(*size, generator=seeding.generator(0, purpose))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (5.0, 30.0), (1e4, 1.0)])
def test_statistics_equal_those_of_numpy_in_float64(mean, std):
    x = mean + std * normal(500, 4)
    fitted = Standardizer.fit(x)
    rows = x.numpy().astype(np.float64)
    # float32 rounds the results; the statistics are accumulated in double
    np.testing.assert_allclose(fitted.mean[0].numpy(), rows.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted.std[0].numpy(), rows.std(0), rtol=1e-5)


def test_training_rows_get_mean_0_and_variance_1():
    x = 7 + 3 * normal(400, 5)
    scaled = Standardizer.fit(x)(x).double()
    assert scaled.mean(0).abs().max() < 1e-6
    assert (scaled.var(0, correction=0) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4, -3e-5])
def test_a_feature_that_never_varies_becomes_zero(value):
    x = normal(333, 2)
    x[:, 1] = value
    fitted = Standardizer.fit(x)
    assert fitted.std[0, 1] == 1.0
    assert fitted(x)[:, 1].abs().max() <= abs(value) * 1e-6  # the mean rounded to float32
    unseen = fitted(torch.full((1, 2), value + 2.0))
    assert unseen[0, 1] == pytest.approx(2.0, rel=1e-3)


def test_images_share_statistics_within_a_channel():
    x = normal(20, 3, 4, 4) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    fitted = Standardizer.fit(x, dims=(0, 2, 3))
    assert fitted.std.shape == (1, 3, 1, 1)
    torch.testing.assert_close(fitted.std[0, 1, 0, 0], x[:, 1].std(correction=0))


def test_statistics_come_from_training_rows_only():
    y = torch.zeros(30, dtype=torch.int64)
    train, val, test = (Split(normal(30, 4, purpose=p), y) for p in ("train", "val", "test"))
    spoiled = Split(test.x.clone(), y)
    spoiled.x[0] = 1e6
    first = standardize_splits(train, val, test)
    second = standardize_splits(train, val, spoiled)
    assert torch.equal(first[0].x, second[0].x)
    assert torch.equal(first[1].x, second[1].x)
    assert torch.equal(first[2].x[1:], second[2].x[1:])
    assert torch.equal(first[2].x, Standardizer.fit(train.x)(test.x))
