"""Runs on sequences: targets at several steps, tokens, and models that cannot take them."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from optlab import registry
from optlab.build import build
from optlab.config import ConfigError
from optlab.nn import Linear
from optlab.nn.losses import SparseCCE
from optlab.tasks.base import CheckedTask, Data, Split
from tests.sweep.composing import configuration

ROWS, STEPS, LAST, SYMBOLS = 12, 4, 3, 5


@dataclass(frozen=True)
class Tokens(CheckedTask):
    """Names each of the last three tokens."""

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        draws = torch.Generator().manual_seed(0)
        x = torch.randint(SYMBOLS, (ROWS, STEPS), generator=draws)
        rows = Split(x, x[:, -LAST:])
        return Data(rows, rows, rows, SYMBOLS, vocabulary=SYMBOLS, target_steps=LAST)


class Lookup(torch.nn.Module):
    """Scores of every token by a table, at the last so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.table = steps, Linear(SYMBOLS, SYMBOLS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.eye(SYMBOLS, dtype=self.table.weight.dtype)[x[:, -self.steps :]]
        return self.table(rows)


@pytest.fixture
def config(monkeypatch):
    """Return a configuration of a model on that task."""
    monkeypatch.setitem(registry.tasks._entries, "tokens", Tokens)

    def of(model, *overrides, steps=LAST):
        monkeypatch.setitem(registry.models._entries, "lookup", lambda context: Lookup(steps))
        made = configuration("optimizer.lr=0.3", "trainer.epochs=60", *overrides)
        return made | {"task": {"name": "tokens"}, "model": {"name": model}}

    return of


@pytest.mark.parametrize("loss", ["sparse_cce", "cce", "mse"])
@pytest.mark.parametrize("engine", ["functional", "plain"])
def test_a_run_learns_every_step(config, loss, engine):
    training = build(config("lookup", f"loss={loss}", f"trainer.engine={engine}"))
    training.fit(lambda update, epoch, values: None)
    assert training.evaluate(training.data.val)["accuracy"] == 1.0


@pytest.mark.parametrize("model", ["mlp", "linear", "perceptron"])
def test_a_model_without_time_is_refused_by_name(config, model):
    with pytest.raises(ConfigError, match=f"model '{model}' cannot take this task, which has toke"):
        build(config(model))


def test_scores_of_another_shape_are_refused_with_both_shapes(config):
    with pytest.raises(ConfigError, match=r"shape \(2, 2, 5\) for 2 rows.* needs \(2, 3, 5\)"):
        build(config("lookup", steps=2))


def test_a_model_of_fixed_length_is_refused_for_longer_test_rows():
    task = ("task.rows=40", "task.length=6", "task.test_length=8", "task.every_step=false")
    with pytest.raises(ConfigError, match=r"inputs of shape \(6, 1\) and cannot take .* \(8, 1\)"):
        build(configuration(*task, task="parity"))


def test_an_initializer_that_fills_nothing_is_refused():
    task = ("model=rnn", "model.inputs=initial", "model.outputs=units", "model.hidden=16")
    config = configuration(*task, "model.steps=8", "init=zeros", task="attractor")
    with pytest.raises(ConfigError, match="init=zeros would do nothing"):
        build(config, chosen={"init"})
    config["model"]["recurrent_init"] = "same"
    build(config, chosen={"init"})


def test_a_task_may_have_a_metric_of_whole_rows():
    model = ("model=rnn", "model.inputs=initial", "model.outputs=units", "model.hidden=16")
    config = configuration(*model, "model.steps=8", task="attractor")
    training = build(config)
    rows = training.data.val
    with torch.no_grad():
        held = (training.run.module.eval()(rows.x).sign() == rows.y.sign()).flatten(1).all(1)
    found = training.evaluate(rows)
    assert found["recall"] == pytest.approx(held.double().mean().item())
    assert set(found) == {"loss", "rmse", "recall"}


def test_losses_see_rows_and_not_steps(config, monkeypatch):
    """The contract of a loss speaks of (B, D), and a user's loss may count on it."""

    class Flat(SparseCCE):
        def measure(self, output, target, reduction):
            assert output.shape == (ROWS * LAST, SYMBOLS)
            return super().measure(output, target, reduction)

    monkeypatch.setitem(registry.losses._entries, "sparse_cce", Flat)
    training = build(config("lookup", "trainer.batch_size=full", "trainer.epochs=1"))
    training.fit(lambda update, epoch, values: None)


@pytest.mark.parametrize("rows", [5, 6])
def test_a_batch_of_one_row_is_refused_where_statistics_need_two(rows):
    """36 training rows in fives leave one over; at three steps each, one row has three values."""
    sizes = ("task.rows=60", f"trainer.batch_size={rows}", "norm=batchnorm")
    if rows == 5:
        with pytest.raises(ConfigError, match="36 rows in batches of 5 leave a batch of one row"):
            build(configuration(*sizes))
    else:
        build(configuration(*sizes))
    build(configuration(*sizes, "model=window_mlp", task="echo"))
