"""``optlab train``: one run, its folder, and starting it again."""

import json
import math
import signal
import subprocess
import sys

import filelock
import polars as pl
import pytest
import torch
import yaml

from optlab import registry
from optlab.cli import main
from optlab.results import read_result
from tests.sweep.running import TINY, curve


def test_a_run_leaves_config_result_table_and_events(train):
    where = train("run", "trainer.log_every=1", "diagnostics.every=1")
    names = {path.name.split(".")[0] for path in where.iterdir() if path.name != ".lock"}
    assert names == {"config", "result", "metrics", "events", "weights"}
    result = read_result(where)
    assert (result.status, result.updates, result.epochs, result.seed) == ("done", 3, 3.0, 0)
    assert set(result.train) == set(result.val) == set(result.test) == {"loss", "accuracy"}
    assert len(result.config_hash) == 12
    assert "torch" in result.versions
    tags = set(pl.read_parquet(where / "metrics.parquet")["tag"])
    assert {"loss/train", "loss/val", "loss/test", "accuracy/train", "lr"} <= tags
    assert {"gradient_norm/output.weight", "weight_norm/hidden.0.linear.bias"} <= tags


def test_same_configuration_and_seed_give_bitwise_the_same_curve(train):
    settings = ["task=digits", "norm=batchnorm", "model.dropout=0.3", "trainer.epochs=1"]
    assert curve(train("a", *settings)) == curve(train("b", *settings))
    assert curve(train("c", *settings, "seed=1")) != curve(train("a2", *settings))


@pytest.mark.parametrize("optimizer", [*registry.optimizers, "foreign"])
def test_a_runs_config_file_starts_the_same_run(train, folder, optimizer):
    first = train("first", f"optimizer={optimizer}", "optimizer.lr=0.05", "regularizer=l2")
    assert main(["train", str(first / "config.yaml"), f"hydra.run.dir={folder / 'again'}"]) == 0
    assert curve(folder / "again") == curve(first)
    again = read_result(folder / "again")
    assert again.config_hash == read_result(first).config_hash


def test_a_config_file_takes_changes_and_hydras_own_flags(train, folder):
    first = train("first")
    flags = ["--config-path", str(first), "--config-name", "config"]
    assert main(["train", *flags, "seed=3", f"hydra.run.dir={folder / 'again'}"]) == 0
    assert read_result(folder / "again").seed == 3


def test_a_config_file_takes_no_group_choices(train, capsys):
    first = train("first")
    assert main(["train", str(first / "config.yaml"), "optimizer=sgd"]) == 2
    assert "optimizer is fixed by this resolved configuration" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["optimizer=adam,seed=0", "a b", "it's (x)"])
def test_a_config_file_starts_again_wherever_it_lies(train, folder, monkeypatch, place):
    first = train("first")
    (folder / place).mkdir()
    copy = folder / place / "config.yaml"
    copy.write_text((first / "config.yaml").read_text())
    assert main(["train", str(copy), f"hydra.run.dir={folder / 'again'}"]) == 0
    assert main(["train", str(copy.parent), f"hydra.run.dir={folder / 'by_folder'}"]) == 0
    assert curve(folder / "by_folder") == curve(first)
    monkeypatch.chdir(folder / place)
    assert main(["train", "config.yaml", f"hydra.run.dir={folder / 'third'}"]) == 0
    assert curve(folder / "again") == curve(folder / "third") == curve(first)


def test_runs_started_in_the_same_second_have_folders_of_their_own(folder, monkeypatch):
    for seed in (0, 1):
        assert main(["train", *TINY, f"seed={seed}"]) == 0
    assert len(list((folder / "runs").iterdir())) == 2


def test_a_folder_in_which_another_process_trains_is_refused(train, folder, capsys):
    where = folder / "run"
    where.mkdir()
    with filelock.FileLock(where / ".lock"):
        assert main(["train", *TINY, f"hydra.run.dir={where}"]) == 2
    assert "another process is training in" in capsys.readouterr().err
    train("run")


def test_an_integral_seed_is_one_seed_however_it_is_written(train):
    assert curve(train("a", "seed=1")) == curve(train("b", "seed=1.0"))


def test_a_users_module_that_draws_from_torchs_generator_is_reproducible(train, monkeypatch):
    """Its draws start from the run's seed, and the caller's generator is left alone."""
    state = torch.get_rng_state()
    draws = []
    monkeypatch.setattr(
        "optlab.build.network.seed_dropout", lambda *_: draws.append(torch.rand(()))
    )
    train("a"), train("b"), train("c", "seed=1")
    assert draws[0] == draws[1] != draws[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_the_number_of_threads_is_part_of_the_configuration(train):
    before = torch.get_num_threads()
    try:
        train("run", "trainer.threads=2")
        assert torch.get_num_threads() == 2
        train("other")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_what_loading_measured_is_recorded(train):
    where = train("run", "task=digits_noisy", "trainer.epochs=1")
    assert read_result(where).notes["labels_randomized"] == 60


@pytest.mark.parametrize(
    ("optimizer", "how"),
    [
        (["optimizer=adam"], "native"),
        (["optimizer=muon", "trainer.engine=native"], "native"),
        (["optimizer=adam", "trainer.engine=functional"], "compiled"),
        (["optimizer=adam", "trainer.engine=plain"], "compiled"),
        (
            ["optimizer=muon", "trainer.engine=functional"],
            "eager: the rule looks at whole tensors, not at single elements",
        ),
        (["optimizer=foreign", "optimizer.target=torch.optim.SGD"], "torch.optim.sgd.SGD"),
    ],
)
def test_how_updates_were_executed_is_recorded(train, optimizer, how):
    # Kernels round square roots as IEEE 754 asks, which PyTorch does not always.
    assert read_result(train("run", *optimizer)).execution == how


@pytest.mark.parametrize(
    ("optimizer", "evaluations"),
    [
        (["optimizer=adam"], 1),
        (["optimizer=foreign", "optimizer.target=torch.optim.SGD", "optimizer.lr=0.1"], 1),
        (["optimizer=foreign", "optimizer.target=torch.optim.LBFGS", "optimizer.max_iter=1"], 1),
        (["optimizer=foreign", "optimizer.target=torch.optim.LBFGS", "optimizer.max_iter=4"], 4),
    ],
)
def test_gradients_are_counted_as_often_as_rows_were_evaluated(train, optimizer, evaluations):
    result = read_result(train("run", *optimizer, "trainer.epochs=3", "trainer.batch_size=full"))
    assert result.row_gradients == 3 * evaluations * 4  # rows of task=xor
    assert result.shared_by == 1


def test_a_missing_compiler_is_said_once_and_recorded(train, monkeypatch, capsys):
    from optlab.compiler import NoCompiler
    from optlab.optim.fast import group
    from optlab.sweep import job
    from optlab.train.native import backend

    def refuse():
        raise NoCompiler("no compiler on PATH")

    job._say_once.cache_clear()
    monkeypatch.setattr(group, "gatherer", refuse)
    monkeypatch.setattr(backend, "kernels", refuse)
    folders = [train("one", "trainer.epochs=1"), train("two", "trainer.epochs=1")]
    assert capsys.readouterr().err.count("updates take longer than they need to") == 1
    assert {read_result(f).execution for f in folders} == {"eager: no compiler on PATH"}


def test_any_option_of_a_foreign_optimizer_is_passed_on(train):
    target = "optimizer.target=torch.optim.SGD"
    options = ["optimizer=foreign", target, "optimizer.momentum=0.9", "optimizer.nesterov=true"]
    saved = yaml.safe_load((train("run", *options) / "config.yaml").read_text())
    assert saved["optimizer"]["nesterov"] is True


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_recorded_with_its_progress_and_curve(folder, stop, code):
    words = ["train", "optimizer=sgd", "trainer.epochs=100", "hydra.run.dir=run"]
    command = [sys.executable, "-m", "optlab", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr.readline()  # a tenth of the training is done
        process.send_signal(stop)
        assert process.wait(timeout=60) == code
    result = read_result(folder / "run")
    assert result.status == "interrupted"
    assert result.updates > 0
    assert max(row[0] for row in curve(folder / "run")) == result.updates


def test_output_goes_to_runs_in_the_current_folder_by_default(folder):
    assert main(["train", *TINY]) == 0
    (run,) = (folder / "runs").iterdir()
    assert run.name.endswith("_xor_adam")


def test_a_diverging_run_is_a_result_with_its_update_and_curve(train):
    where = train(
        "run", "task=line", "model=linear", "optimizer=momentum", "optimizer.lr=10",
        "trainer.epochs=20", "trainer.log_every=7", "diagnostics.every=0",
        tiny=["logger.console=false"],
    )  # fmt: skip
    result = read_result(where)
    assert result.status == "diverged"
    diverged = int(result.cause.rpartition(" ")[2])
    assert "loss became" in result.cause
    rows = [row for row in curve(where) if row[2] == "loss/train"]
    assert math.isfinite(rows[0][3])
    assert not math.isfinite(rows[-1][3])
    # The record that holds the first bad loss is the last one of the training.
    assert 0 <= result.updates - diverged < 7
    assert rows[-1][0] == result.updates
    updates = [row[0] for row in curve(where)]
    assert updates == sorted(updates)


def test_early_stopping_returns_to_the_best_weights(train):
    settings = ["task=digits_noisy", "trainer.epochs=60", "optimizer.lr=0.01"]
    stopped = read_result(train("stopped", *settings, "trainer.patience=3"))
    assert stopped.epochs < 60
    assert stopped.best_epoch == stopped.epochs - 3
    assert "no better validation loss" in stopped.cause
    kept = read_result(train("kept", *settings, "trainer.patience=3", "trainer.restore_best=false"))
    assert kept.val["loss"] > stopped.val["loss"]


def test_the_test_split_is_read_once_after_training(train):
    rows = curve(train("run", "trainer.log_every=1"))
    assert [row[0] for row in rows if row[2] == "loss/test"] == [3]


def test_a_test_function_records_its_trajectory_and_reaches_the_minimum(train):
    where = train(
        "run", "task=quadratic", "task.condition=4", "optimizer=nag", "optimizer.lr=0.05",
        "trainer.epochs=200", "trainer.log_every=1", tiny=["logger.console=false"],
    )  # fmt: skip
    xs = [row[3] for row in curve(where) if row[2] == "point/x0"]
    assert len(xs) > 200
    assert abs(xs[-1]) < 1e-3 < abs(xs[0])


def test_engines_agree_and_foreign_optimizers_run(train):
    ours = read_result(train("a", "optimizer=adam", "trainer.dtype=float64"))
    plain = train("b", "optimizer=adam", "trainer.engine=plain", "trainer.dtype=float64")
    target = "optimizer.target=torch.optim.Adam"
    theirs = train("c", "optimizer=foreign", target, "trainer.dtype=float64")
    lbfgs = ["optimizer=foreign", "optimizer.target=torch.optim.LBFGS", "optimizer.lr=1"]
    assert read_result(plain).val["loss"] == pytest.approx(ours.val["loss"], rel=1e-12)
    assert read_result(theirs).val["loss"] == pytest.approx(ours.val["loss"], rel=1e-12)
    assert read_result(train("d", *lbfgs, "trainer.batch_size=full")).status == "done"


def test_a_foreign_optimizer_may_lie_in_the_current_folder(train, folder, monkeypatch):
    code = "import torch\nclass Lazy(torch.optim.SGD):\n    def step(self): super().step()\n"
    (folder / "mine_lazy.py").write_text(code)
    monkeypatch.syspath_prepend("")  # undone afterwards, with what the command adds
    where = train("run", "optimizer=foreign", "optimizer.target=mine_lazy.Lazy")
    assert read_result(where).updates == 3


def test_a_preset_of_a_users_own_folder_applies(train, folder):
    preset = folder / "mine" / "experiment" / "slow.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("# @package _global_\noptimizer:\n  lr: 0.125\n")
    where = train("run", "--config-dir", str(folder / "mine"), "experiment=slow")
    assert yaml.safe_load((where / "config.yaml").read_text())["optimizer"]["lr"] == 0.125


def test_a_folder_with_a_finished_run_is_not_trained_twice(train, capsys):
    where = train("run")
    before = json.loads((where / "result.json").read_text())
    train("run")
    assert "already done, skipped" in capsys.readouterr().err
    assert json.loads((where / "result.json").read_text()) == before


def test_a_folder_with_another_run_is_refused(train, folder, capsys):
    where = train("run")
    assert main(["train", *TINY, "seed=5", f"hydra.run.dir={where}"]) == 2
    assert "already holds a run of another configuration" in capsys.readouterr().err
