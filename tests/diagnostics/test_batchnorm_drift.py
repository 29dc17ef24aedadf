"""Distance of running statistics from those of the rows, on rows of known statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from optlab.diagnostics import GradientMonitor
from optlab.diagnostics.batchnorm_drift import BatchNormDrift
from optlab.nn.normalization import BatchNorm1d, BatchNorm2d


def drift(module, x):
    with GradientMonitor(module, (BatchNormDrift(),)) as monitor:
        module(x)
    return {tag: float(value) for tag, value in monitor.values().items()}


def rows(mean, deviation, count=1000, features=4):
    drawn = np.random.default_rng(0).standard_normal((count, features))
    return torch.from_numpy((drawn - drawn.mean(0)) / drawn.std(0) * deviation + mean)


def by_hand(x, mean, variance):
    """The twin: in NumPy, with features last."""
    x, m, v = x.numpy(), np.asarray(mean), np.asarray(variance)
    own, s = x.mean(0), x.std(0)
    return np.sqrt(np.mean(((m - own) / s) ** 2 + ((np.sqrt(v) - s) / s) ** 2))


@pytest.mark.parametrize("kind", [BatchNorm1d, nn.BatchNorm1d])
@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (3.0, 1.0), (3.0, 6.0), (-2.0, 0.5)])
def test_it_is_the_distance_in_units_of_the_rows_deviation(kind, mean, deviation):
    module = nn.Sequential(kind(4)).double()
    x = rows(mean, deviation)
    expected = by_hand(x, np.zeros(4), np.ones(4))
    # The layer's eps is added to both variances.
    assert drift(module, x) == {"batchnorm_drift/0": pytest.approx(expected, abs=1e-4)}


@pytest.mark.parametrize("kind", [BatchNorm1d, nn.BatchNorm1d])
def test_it_is_of_the_statistics_before_the_call_that_moves_them(kind):
    module = nn.Sequential(kind(4, momentum=1.0)).double()
    x = rows(3.0, 1.0)
    assert drift(module, x)["batchnorm_drift/0"] == pytest.approx(3.0, abs=1e-4)
    # Running variances are those of a population, larger by 1 / 999.
    assert drift(module, x)["batchnorm_drift/0"] == pytest.approx(0.0, abs=1e-3)


def test_features_that_are_constant_and_known_to_be_are_not_far():
    module = nn.Sequential(nn.BatchNorm1d(4, momentum=1.0))
    x = torch.full((8, 4), 7.0)
    drift(module, x)
    assert drift(module, x) == {"batchnorm_drift/0": 0.0}


@pytest.mark.parametrize("kind", [BatchNorm2d, nn.BatchNorm2d])
def test_channels_of_images_are_features(kind):
    x = rows(3.0, 2.0, count=256)
    images = x.reshape(64, 2, 2, 4).permute(0, 3, 1, 2)
    found = drift(nn.Sequential(kind(4)).double(), images)
    expected = by_hand(x, np.zeros(4), np.ones(4))
    assert found["batchnorm_drift/0"] == pytest.approx(expected, abs=1e-4)


def test_features_of_sequences_stand_before_time():
    x = rows(3.0, 2.0, count=60)
    found = drift(nn.Sequential(nn.BatchNorm1d(4)).double(), x.reshape(10, 6, 4).mT)
    expected = by_hand(x, np.zeros(4), np.ones(4))
    assert found["batchnorm_drift/0"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "module",
    [
        nn.LayerNorm(4),
        nn.BatchNorm1d(4, track_running_stats=False),
        nn.InstanceNorm1d(3, track_running_stats=True),
        nn.Linear(4, 2),
    ],
)
def test_layers_without_running_statistics_of_a_batch_have_none(module):
    x = torch.randn(5, 3, 4) if isinstance(module, nn.InstanceNorm1d) else torch.ones(3, 4)
    assert drift(nn.Sequential(module), x) == {}
