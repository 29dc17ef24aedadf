"""What a seed draws, which split is used for what, and what a job does beside the training."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import yaml

from optlab.build import build
from optlab.cli import INTERRUPTED, main
from optlab.results import read_result
from optlab.sweep.run_folder import PRIMARY
from optlab.tasks.base import Split
from optlab.train import FunctionalRun
from tests.sweep.composing import configuration
from tests.sweep.running import TINY, curve


def small(seed=0, *overrides):
    """Return a training of 48 rows in 6 epochs of two updates."""
    return build(configuration(f"seed={seed}", *overrides))


def weights(module):
    return torch.cat([p.detach().reshape(-1).clone() for p in module.parameters()])


def with_weights(training, other):
    with torch.no_grad():
        for mine, theirs in zip(
            training.run.module.parameters(), other.run.module.parameters(), strict=True
        ):
            mine.copy_(theirs)
    return training


def with_masks(training, other):
    buffers = zip(training.run.module.buffers(), other.run.module.buffers(), strict=True)
    for mine, theirs in buffers:
        mine.copy_(theirs)
    return training


def with_order(training, other):
    return replace(training, sampler=other.sampler)


@pytest.mark.parametrize("exchange", [with_weights, with_masks, with_order])
def test_the_seed_alone_draws_each_of_weights_masks_and_order(exchange):
    """One part is taken from a run of the same or of another seed, the others stay."""
    ends = []
    for seed in (0, 0, 1):
        training = exchange(small(0, "model.dropout=0.5"), small(seed, "model.dropout=0.5"))
        training.fit(lambda *record: None)
        ends.append(weights(training.run.module))
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2], rtol=1e-4)


def test_the_seed_does_not_draw_the_data():
    for name in ("train", "val", "test"):
        assert torch.equal(getattr(small(0).data, name).x, getattr(small(1).data, name).x)


def epochs_of(order, monkeypatch):
    """Return the rows of each epoch as the run got them."""
    training, seen = small(0, f"trainer.sampler={order}"), []
    step = training.run.step

    def watched(rows, factor):
        seen.extend(rows.tolist())
        return step(rows, factor)

    monkeypatch.setattr(training.run, "step", watched)
    training.fit(lambda *record: None)
    return torch.tensor(seen).view(training.trainer.epochs, len(training.data.train)).tolist()


def test_shuffled_epochs_hold_every_row_once_each_in_another_order(monkeypatch):
    epochs = epochs_of("shuffle", monkeypatch)
    assert all(sorted(epoch) == list(range(48)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_rows_drawn_with_replacement_repeat_and_differ_from_epoch_to_epoch(monkeypatch):
    epochs = epochs_of("replacement", monkeypatch)
    assert all(len(set(epoch)) < 48 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_sequential_epochs_keep_the_order_of_the_data(monkeypatch):
    assert epochs_of("sequential", monkeypatch) == [list(range(48))] * 6


def unusable(split):
    return Split(torch.full_like(split.x, float("nan")), split.y)


def test_training_and_early_stopping_do_not_read_the_test_split():
    whole, without = small(0, "trainer.patience=2"), small(0, "trainer.patience=2")
    without = replace(without, data=replace(without.data, test=unusable(without.data.test)))
    records = []
    ends = [training.fit(lambda *record: records.append(record)) for training in (whole, without)]
    outcomes = [end.outcome for end in ends]
    assert outcomes[1] == replace(outcomes[0], train_s=outcomes[1].train_s)
    half = len(records) // 2
    assert records[:half] == records[half:]


def test_what_is_watched_is_the_validation_split():
    training = small()
    training = replace(training, data=replace(training.data, val=unusable(training.data.val)))
    outcome = training.fit(lambda *record: None).outcome
    assert outcome.status == "diverged"
    assert "validation" in outcome.cause


def test_updates_are_made_on_the_training_split():
    training = small()
    before = training.evaluate(training.data.train)
    loss = float(training.run.step(None, 1.0)[0])
    assert training.sampler.num_rows == len(training.data.train)
    # A mean over 48 rows in float32, added up in float32 or float64.
    assert loss == pytest.approx(before["loss"], rel=1e-5)


def test_a_result_holds_each_split_under_its_own_name(train):
    result = read_result(where := train("run", "task=blobs"))
    config = yaml.safe_load((where / "config.yaml").read_text())
    training = build({key: value for key, value in config.items() if key not in PRIMARY})
    training.fit(lambda *record: None)
    expected = [training.evaluate(getattr(training.data, n)) for n in ("train", "val", "test")]
    # The same sums on the same machine; the rest is rounding.
    for scores, again in zip((result.train, result.val, result.test), expected, strict=True):
        assert scores == pytest.approx(again, rel=1e-6)
    assert len({scores["loss"] for scores in expected}) == 3
    last = {tag: value for _, _, tag, value in curve(where)}
    assert (last["loss/val"], last["loss/test"]) == (result.val["loss"], result.test["loss"])


def test_an_interrupt_leaves_a_record_with_the_updates_made_and_the_run_starts_again(
    folder, monkeypatch
):
    line = [
        "train",
        *TINY,
        "trainer.epochs=9",
        "trainer.log_every=1",
        "trainer.engine=functional",
        f"hydra.run.dir={folder}/run",
    ]
    step, calls = FunctionalRun.step, []

    def interrupted(run, rows, factor):
        calls.append(rows)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return step(run, rows, factor)

    with monkeypatch.context() as patch:
        patch.setattr(FunctionalRun, "step", interrupted)
        assert main(line) == INTERRUPTED
    result = read_result(folder / "run")
    assert (result.status, result.updates) == ("interrupted", 5)
    assert result.cause
    assert max(row[0] for row in curve(folder / "run")) == 5
    assert main(line) == 0
    again = read_result(folder / "run")
    assert (again.status, again.updates) == ("done", 9)


PLUGIN = '''
from torch import nn

from optlab.registry import activations


@activations.register("twice")
class Twice(nn.Module):
    """f(z) = 2 z."""

    def forward(self, z):
        return 2 * z
'''


def test_a_saved_configurations_plugin_is_imported_again_in_a_fresh_process(train, folder):
    saved = train("first") / "config.yaml"
    config = yaml.safe_load(saved.read_text())
    config |= {"plugins": ["twice_plugin"], "activation": {"name": "twice"}}
    (folder / "again.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "twice_plugin.py").write_text(PLUGIN)
    line = [sys.executable, "-m", "optlab", "train", "again.yaml", "plugins=[twice_plugin]"]
    line += ["hydra.run.dir=again"]
    done = subprocess.run(line, cwd=folder, env=dict(os.environ), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_result(folder / "again").status == "done"


WITH_LOGGERS = [word for word in TINY if not word.startswith("logger")]


def outputs(where, printed):
    """Return the logger options that had an effect."""
    effects = {
        "tensorboard": any(where.glob("events.*")),
        "table": (where / "metrics.parquet").exists(),
        "console": "loss" in printed,
        "figures": (where / "figures").is_dir(),
    }
    return {name for name, seen in effects.items() if seen}


@pytest.mark.parametrize("logger", ["tensorboard", "table", "console", "figures"])
def test_each_logger_can_be_turned_on_alone(train, capsys, logger):
    where = train("run", "logger=none", f"logger.{logger}=true", tiny=WITH_LOGGERS)
    assert outputs(where, capsys.readouterr().out) == {logger}


def test_the_loggers_above_are_all_and_on_by_default(train, capsys):
    where = train("run", tiny=WITH_LOGGERS)
    options = yaml.safe_load((where / "config.yaml").read_text())["logger"]
    assert outputs(where, capsys.readouterr().out) == set(options)


def test_threads_are_those_of_the_configuration(train):
    before = torch.get_num_threads()
    try:
        train("run", f"trainer.threads={before + 1}")
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
