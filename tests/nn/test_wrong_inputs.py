"""Layers and losses used from Python: what was wrong is said in the words of whoever calls them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from optlab.config import ConfigError
from optlab.models import MLP
from optlab.nn import BatchNorm1d, Linear
from optlab.nn.losses import functions
from optlab.registry import losses

ROWS = torch.randn(4, 3)

MISTAKES: dict[str, Callable[[], Any]] = {
    r"in_features must be in \[1, inf\), got 0": lambda: Linear(0, 2),
    r"out_features must be in \[1, inf\), got -1": lambda: Linear(2, -1),
    r"in_features must be an integer in \[1, inf\), got 2.5": lambda: Linear(2.5, 2),
    r"weights must be of a floating-point dtype, got .*int64": lambda: Linear(
        2, 2, dtype=torch.int64
    ),
    r"Linear takes inputs of shape \(\.\.\., 2\), got \(4, 3\)": lambda: Linear(2, 2)(ROWS),
    r"Linear takes inputs of shape \(\.\.\., 2\), got \(1, 4, 3\)": lambda: Linear(2, 2)(
        ROWS.unsqueeze(0)
    ),
    r"Linear takes inputs of shape \(\.\.\., 2\), got \(\)": lambda: Linear(2, 2)(torch.ones(())),
    "Linear takes a tensor, got list": lambda: Linear(2, 2)([1, 2]),
    "float32 on cpu, got torch.float64 on cpu": lambda: Linear(3, 2)(ROWS.double()),
    "float32 on cpu, got torch.int64 on cpu": lambda: Linear(3, 2)(ROWS.long()),
    "float32 on cpu, got torch.float32 on meta": lambda: Linear(3, 2)(ROWS.to("meta")),
    r"hidden must be a list of an integer .*, got 3": lambda: MLP(3, 3, 2),  # type: ignore[arg-type]
    r"hidden\[0\] must be in \[1, .*, got 0": lambda: MLP(3, (0,), 2),
    r"num_features must be in \[1, inf\), got 0": lambda: BatchNorm1d(0),
    r"labels must be one for each row of scores, shape \(4,\), got \(3,\)": lambda: (
        functions.sparse_cce_with_logits(ROWS, torch.tensor([0, 1, 2]))
    ),
    r"labels must be in 0\.\.2 for 3 classes, got 0\.\.7": lambda: functions.sparse_cce_with_logits(
        ROWS, torch.tensor([0, 1, 2, 7])
    ),
    r"labels must be in 0\.\.2 for 3 classes, got -1\.\.2": lambda: functions.sparse_cce(
        ROWS, torch.tensor([0, 1, 2, -1])
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_said_with_the_value_and_what_is_allowed(message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MISTAKES[message]()


@pytest.mark.parametrize(
    "loss",
    ["mse", "half_mse", "mae", "huber", "bce", "bce_with_logits", "hinge", "perceptron_loss"],
)
def test_a_column_and_a_row_of_targets_are_not_stretched_to_a_square(loss: str) -> None:
    scores, targets = torch.rand(4, 1), torch.ones(4)
    with pytest.raises(ConfigError, match=r"one shape, got \(4, 1\) and \(4,\)"):
        getattr(functions, loss)(scores, targets)


@pytest.mark.parametrize("name", [name for name in losses if losses.get(name).for_classes])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 2]), r"labels must be in 0\.\.1 for 2 classes, got 0\.\.2"),
        (torch.tensor([-1, 0]), r"labels must be in 0\.\.1 for 2 classes, got -1\.\.0"),
        (torch.tensor([0.0, 0.5]), "tensor of whole numbers, int64, got torch.float32"),
        (torch.tensor([float("nan"), 1.0]), "tensor of whole numbers, int64, got torch.float32"),
        ([0, 1], "tensor of whole numbers, int64, got list"),
    ],
)
def test_labels_are_checked_when_they_are_encoded(name: str, labels: Any, message: str) -> None:
    """Once a program runs, nothing looks at them: an index beyond a row would read anything."""
    with pytest.raises(ConfigError, match=message):
        losses.create(name, {}).encode(labels, 2)


def test_a_layer_that_says_so_still_compiles_in_one_piece() -> None:
    layer = Linear(3, 2)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    assert torch.equal(compiled(ROWS), layer(ROWS))
