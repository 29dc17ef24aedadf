"""Where a run broke."""

import math

import pytest
import torch

from optlab.train.measurements import Measurements
from tests.train.stack.configs import parts


def broken(change, *common):
    (part,) = parts(common, ((),), "blobs")
    run = part.run()
    with torch.no_grad():
        change(run.module)
    return Measurements(run, part.data, part.diagnostics).where_it_broke()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_first_parameter_that_is_not_finite_is_named(value):
    def change(module):
        module.hidden[0].linear.bias[0] = value
        module.output.weight[0, 0] = value

    assert broken(change) == {"nonfinite": 2.0, "nonfinite/hidden.0.linear.bias": 1.0}


def test_finite_weights_whose_outputs_are_not_are_looked_at():
    found = broken(lambda module: module.hidden[0].linear.weight.fill_(3e38))
    assert found.pop("nonfinite") >= 1
    assert found == {"nonfinite/hidden.0.linear": 1.0}


def test_a_sound_run_has_broken_nowhere():
    assert broken(lambda module: None) == {"nonfinite": 0.0}


def test_nobody_asked_for_looks():
    assert broken(lambda module: module.output.bias.fill_(math.nan), "diagnostics=off") == {}
