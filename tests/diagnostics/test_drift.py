"""How far the inputs of activations move between two looks (course notes, row NRM-09)."""

import pytest
import torch

from optlab.diagnostics import GradientMonitor
from optlab.diagnostics.drift import Drift
from optlab.models.mlp import MLP
from optlab.nn import BatchNorm1d, Tanh

ROWS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


def look(drift, module, *chunks):
    with GradientMonitor(module, (drift,)) as monitor:
        for x in chunks:
            module(x)
    return {tag: value.item() for tag, value in monitor.values().items()}


def test_the_first_look_has_nothing_to_compare_with():
    assert look(Drift(), Tanh(), ROWS) == {}


def test_a_shift_moves_means_and_a_scale_moves_both():
    drift = Drift()
    look(drift, Tanh(), ROWS)
    assert look(drift, Tanh(), ROWS + 3) == {"drift/Tanh": pytest.approx(3 * 4**0.5)}
    mean, sigma = (ROWS.double() + 3).mean(0), ROWS.double().std(0, correction=0)
    expected = torch.cat([mean, sigma]).norm().item()
    assert look(drift, Tanh(), 2 * (ROWS + 3)) == {"drift/Tanh": pytest.approx(expected, rel=1e-6)}


def test_chunks_count_as_their_rows_together():
    drift = Drift()
    look(drift, Tanh(), *ROWS.split(7))
    # Means of 30 numbers in float64.
    assert look(drift, Tanh(), ROWS)["drift/Tanh"] == pytest.approx(0.0, abs=1e-12)


def test_a_constant_unit_far_from_0_has_deviation_0():
    drift, constant = Drift(), torch.full((9, 1), 1e4)
    look(drift, Tanh(), constant)
    assert look(drift, Tanh(), constant + 1) == {"drift/Tanh": pytest.approx(1.0, abs=1e-3)}


def test_batch_normalization_undoes_what_the_layer_before_does():
    """The activation of the second layer reads the same, however the first layer's output grows."""
    changes = []
    for norm in (None, BatchNorm1d):
        module, drift = MLP(4, [5, 5], 1, Tanh, norm), Drift()
        look(drift, module, ROWS)
        with torch.no_grad():
            module.hidden[0].linear.weight.mul_(3.0)
        changes.append(look(drift, module, ROWS)["drift/hidden.0.activation"])
    assert changes[0] > 1.0
    assert changes[1] < 1e-3  # all that is left is eps in the variance
