"""What a run measures, over rows that come in chunks (LOS-15)."""

import pytest
import torch
from torch import nn

from optlab.nn.metrics import mean_square_error
from optlab.tasks.base import Split
from optlab.train import Objective
from optlab.train.objective import rows_of_a_chunk

X = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0], dtype=torch.float64)[:, None]
SQUARES = Objective(
    lambda z, y: (z - y).square().mean(),
    lambda z, y: {"rmse": mean_square_error(z, y), "mean": z.mean()},
    ("rmse", "mean"),
    roots=("rmse",),
    states=lambda z: {"model/answer": torch.tensor(42.0)},
)


@pytest.fixture(params=[1, 2, 3, 100])
def chunks(request, monkeypatch):
    monkeypatch.setattr("optlab.train.objective.EVALUATION_ROWS", request.param)


@pytest.mark.usefixtures("chunks")
def test_every_row_counts_once_however_rows_are_chunked():
    values = SQUARES.evaluate(nn.Identity(), Split(X, torch.zeros_like(X)))
    assert values["mean"] == 31 / 5
    assert values["loss"] == pytest.approx((1 + 4 + 16 + 64 + 256) / 5, rel=1e-15)


@pytest.mark.usefixtures("chunks")
def test_rmse_squared_is_mse_however_rows_are_chunked():
    """LOS-15; 1e-15 is the rounding of the root and of its square."""
    values = SQUARES.evaluate(nn.Identity(), Split(X, torch.zeros_like(X)))
    assert values["rmse"] ** 2 == pytest.approx(values["loss"], rel=1e-15)


@pytest.mark.usefixtures("chunks")
def test_states_are_told_by_evaluation_only():
    assert SQUARES.evaluate(nn.Identity(), Split(X, X))["model/answer"] == 42.0
    assert SQUARES.names == ("loss", "rmse", "mean")
    assert len(SQUARES.values(torch.tensor(0.0), X, X)) == 3


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_is_in_evaluation_mode_and_puts_the_mode_back(training):
    module = nn.Dropout(0.5).train(training)
    assert SQUARES.evaluate(module, Split(X, X))["loss"] == 0.0
    assert module.training == training


@pytest.mark.usefixtures("chunks")
def test_every_time_step_counts_as_a_row():
    steps = torch.stack([X, 2 * X], dim=1)
    as_rows = Split(steps.flatten(0, 1), torch.zeros(10, 1, dtype=torch.float64))
    values = SQUARES.per_step().evaluate(nn.Identity(), Split(steps, torch.zeros_like(steps)))
    # The last bit: chunks of other lengths are summed in another order.
    assert values == pytest.approx(SQUARES.evaluate(nn.Identity(), as_rows), rel=1e-15)


@pytest.mark.parametrize(
    ("shape", "rows"), [((1000, 64), 1024), ((5, 3, 32, 32), 32), ((5, 256), 256), ((4, 0), 1024)]
)
def test_chunks_of_large_inputs_have_fewer_rows(shape, rows):
    assert rows_of_a_chunk(torch.zeros(shape)) == rows
