"""Perceptrons set by hand (PER-09)."""

import pytest
import torch

from optlab.backprop import AND, NAND, OR, propagate, step, xor_by_hand

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("gate", "truth"), [(OR, [0, 1, 1, 1]), (NAND, [1, 1, 1, 0]), (AND, [0, 0, 0, 1])]
)
def test_gates_are_perceptrons(gate, truth):
    x1, x2 = CORNERS.unbind(-1)
    assert step(gate.w1 * x1 + gate.w2 * x2 + gate.b).tolist() == truth


def test_two_gates_into_a_third_are_xor():
    _, hidden, output = propagate(xor_by_hand(), CORNERS, unit=step)
    assert hidden.T.tolist() == [[0, 1, 1, 1], [1, 1, 1, 0]]
    assert output[:, 0].tolist() == [0, 1, 1, 0]


def test_step_counts_zero_as_one():
    """E20."""
    assert step(torch.tensor([-0.1, 0.0, 0.1])).tolist() == [0, 1, 1]
