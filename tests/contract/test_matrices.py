"""Rules that look at whole tensors reach the minimum of a problem whose parameter is a matrix.

The gate of test_rules.py has vectors, which some of them treat as others do.
"""

import pytest
import torch
from torch import nn

from optlab.optim import RuleOptimizer
from optlab.registry import optimizers

WHOLE = [
    pytest.param(make, id=name) for name, make in optimizers.items() if not make.rule.elementwise
]
#: Curvatures from 1 to 25 along directions that are those of no row, column or element.
SIDES = torch.tensor([5.0, 3.0, 1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 2.0, 5.0])


def turned(side: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(side), len(side), generator=generator, dtype=torch.float64)
    basis, _ = torch.linalg.qr(noise)
    return basis * side.double().sqrt() @ basis.mT


@pytest.mark.parametrize("make", WHOLE)
def test_reaches_the_minimum_of_a_bowl_over_matrices(make: type[RuleOptimizer]) -> None:
    left, right = turned(SIDES[0], seed=1), turned(SIDES[1], seed=2)
    target = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    distances = {}
    for lr in (1e-3, 3e-3, 1e-2, 3e-2):
        weight = nn.Parameter(torch.ones(4, 3, dtype=torch.float64))
        optimizer = make([weight], lr=lr, weight_decay=0.0)
        for _ in range(2000):
            weight.grad = left @ left @ (weight.detach() - target) @ right @ right
            optimizer.step()
        distances[lr] = (optimizer.iterates()[0] - target).abs().max().item()
        if distances[lr] < 3e-2:
            return
    pytest.fail(f"distances by rate: {distances}")
