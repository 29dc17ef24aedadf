import pytest
import torch

from optlab.tasks import Data
from optlab.tasks.features import NUM_FEATURES, DenseFeatures, SparseFeatures

FREQUENCY = 10 ** torch.linspace(-0.5, -2.7, NUM_FEATURES)


def linear_accuracy(data: Data) -> float:
    """Return the test accuracy of least squares on the labels, a plain linear classifier."""
    signs = 2.0 * data.train.y - 1.0
    centered = data.train.x - data.train.x.mean(0)
    weights = torch.linalg.lstsq(centered, signs[:, None], driver="gelsd").solution
    scores = (data.test.x - data.train.x.mean(0)) @ weights
    return ((scores[:, 0] > 0) == data.test.y).double().mean().item()


def test_sparse_features_are_binary_with_the_stated_frequencies():
    x = SparseFeatures(rows=50_000).load().train.x
    assert set(x.unique().tolist()) == {0.0, 1.0}
    deviation = (FREQUENCY * (1 - FREQUENCY) / len(x)).sqrt()
    assert ((x.mean(0) - FREQUENCY) / deviation).abs().max() < 5


def test_dense_features_are_standard_normal():
    x = DenseFeatures(rows=50_000).load().train.x
    # 30,000 rows: standard errors 0.006 and 0.004; five times that
    assert x.mean(0).abs().max() < 0.03
    assert (x.std(0) - 1).abs().max() < 0.02


def test_the_zero_fraction_is_measured():
    sparse, dense = SparseFeatures().load(), DenseFeatures().load()
    assert sparse.notes["zero_fraction"] == pytest.approx(
        (sparse.train.x == 0).float().mean().item(), abs=1e-6
    )
    # 1 minus the mean frequency, within five standard errors
    assert sparse.notes["zero_fraction"] == pytest.approx(1 - FREQUENCY.mean().item(), abs=0.003)
    assert dense.notes["zero_fraction"] == 0.0


def test_features_that_no_training_row_has_are_counted():
    few = SparseFeatures(rows=100).load()
    unseen = (few.train.x.sum(0) == 0).sum().item()
    assert few.notes["features_never_seen"] == unseen > 0
    assert DenseFeatures(rows=100).load().notes["features_never_seen"] == 0


@pytest.mark.parametrize("task", [SparseFeatures, DenseFeatures])
def test_labels_are_balanced_and_can_be_predicted_from_the_features(task):
    data = task().load()
    assert data.train.y.double().mean().item() == pytest.approx(0.5, abs=0.1)
    assert linear_accuracy(data) > 0.8


@pytest.mark.parametrize("task", [SparseFeatures, DenseFeatures])
def test_a_weaker_signal_is_harder(task):
    assert linear_accuracy(task(signal=0.3).load()) < linear_accuracy(task().load()) - 0.1
