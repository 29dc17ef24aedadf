"""Layers learn features: what a linear probe reads from each of them (MLP-07)."""

from itertools import pairwise

import pytest
import torch
from sklearn.datasets import load_digits

from optlab.backprop import Layers, propagate, shuffled_rows, update

SIZES = (64, 32, 16, 10)


@pytest.fixture(scope="module")
def digits():
    """Return shuffled images in [0, 1] and one-hot digits, 1797 rows."""
    x, labels = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order] / 16, torch.eye(10, dtype=torch.float64)[labels[order]]


def probe(features, y):
    """Return the test accuracy of least squares on features; rows from 1200 on are for testing."""
    rows = torch.cat([features, torch.ones(len(features), 1, dtype=features.dtype)], 1)
    ridge = 1e-3 * torch.eye(rows.shape[1], dtype=rows.dtype)
    weight = torch.linalg.solve(rows[:1200].T @ rows[:1200] + ridge, rows[:1200].T @ y[:1200])
    right = (rows[1200:] @ weight).argmax(1) == y[1200:].argmax(1)
    return float(right.double().mean())


def probes(params, digits):
    x, y = digits
    return [probe(features, y) for features in propagate(params, x)]


def test_training_makes_each_layer_easier_to_read_than_the_one_before(digits):
    """Pixels 0.92, then 0.96, 0.97, 0.98; before training, 0.92, then 0.91, 0.83, 0.63.

    A perceptron on pixels is the first number; three seeds agree.
    """
    x, y = digits
    network = Layers("bce")
    start = params = network.draw(SIZES, seed=0)
    for epoch in shuffled_rows(1200, 40, seed=0):
        for rows in epoch.split(16):
            params = update(
                params, network.backward(params, propagate(params, x[rows]), y[rows]), 0.1
            )
    before, after = probes(start, digits), probes(params, digits)
    assert before[0] == after[0] > 0.9
    assert before == sorted(before, reverse=True)
    # Three of the 597 rows for testing are 0.005.
    assert all(later > earlier - 0.005 for earlier, later in pairwise(after))
    assert after[1] > after[0] + 0.02
    assert after[-1] > 0.97
