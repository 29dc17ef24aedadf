"""The size of an update beside its weights."""

import math

import pytest
import torch

from optlab.diagnostics import update_ratios


def test_ratio_of_norms_by_parameter():
    before = {"w": torch.tensor([[3.0, 4.0]]), "b": torch.tensor([2.0])}
    after = {"w": torch.tensor([[3.0, 4.5]]), "b": torch.tensor([1.0])}
    expected = {"update_ratio/w": 0.1, "update_ratio/b": 0.5}
    assert update_ratios(before, after) == pytest.approx(expected)


def test_a_parameter_that_was_0_has_no_ratio():
    zero, one = torch.zeros(2), torch.ones(2)
    found = update_ratios({"moved": zero, "still": zero}, {"moved": one, "still": zero})
    assert found["update_ratio/moved"] == math.inf
    assert math.isnan(found["update_ratio/still"])


def test_nothing_before_is_nothing_to_compare():
    assert update_ratios({}, {"w": torch.ones(1)}) == {}
