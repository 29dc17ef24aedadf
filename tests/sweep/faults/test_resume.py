"""Runs and sweeps that are stopped in the midst of an epoch and go on as if nothing had been."""

import signal

import numpy as np
import polars as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.conftest import folder  # noqa: F401 - a fixture
from tests.sweep.faults.sweeps import finish, start

#: Fifteen updates, with all that changes while a network trains.
NETWORK = (
    *("task=blobs", "task.rows=80", "trainer.epochs=3", "trainer.batch_size=10"),
    *("trainer.log_every=3", "model.hidden=[8]", "model.dropout=0.3", "norm=batchnorm"),
    *("diagnostics.every=4", "diagnostics.flow_every=4", "logger.console=false"),
)
EVERY = ("checkpoint_s=0",)

#: Sends a signal to itself: SIGKILL some updates after the last checkpoint, others before it.
STOPPED = """
import os, signal, sys
import optlab.train.stack.loop as loop
from optlab.cli import main
from optlab.train.keeper import Keeper
update, number = int(sys.argv[1]), int(sys.argv[2])
loop.PIECE_S = 0.0
keep = Keeper.keep
def keeping(self, state):
    if state.updates == update and number != signal.SIGKILL:
        os.kill(os.getpid(), number)
    if state.updates <= update:
        keep(self, state)
    elif state.updates == update + 4:
        os.kill(os.getpid(), number)
Keeper.keep = keeping
raise SystemExit(main(sys.argv[3:]))
"""


def stopped(*words, update=7, number=signal.SIGKILL):
    """Run a command that is stopped, and return its exit code and what it said."""
    arguments = (str(update), str(int(number)))
    code, _, said = finish(start(*words, script=STOPPED, arguments=arguments))
    return code, said


def table(place):
    """Return every logged value but the clock's, in an order that does not depend on writing."""
    own = place / "metrics.parquet"
    files = [own] if own.exists() else sorted((place.parent / "metrics").glob("*.parquet"))
    rows = pl.concat([pl.read_parquet(file, glob=False) for file in files])
    if "run" in rows.columns:
        rows = rows.filter(pl.col("run") == place.name)
        assert rows["started"].n_unique() == 1
    return rows.select("update", "epoch", "tag", "value").sort("update", "tag")


def curves(place):
    """Return steps and values of every scalar that TensorBoard shows, none thinned or purged."""
    (path,) = place.glob("events.out.*")
    events = EventAccumulator(str(path), {"scalars": 0}, purge_orphaned_data=False).Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(e.step, repr(e.value)) for e in events.Scalars(tag)] for tag in tags}


def outcome(place):
    """Return what a result says but for times and names."""
    result = vars(read_result(place)).copy()
    for name in ("name", "total_s", "training_s", "started"):
        del result[name]
    return repr(result)


def assert_same(found, expected):
    """Compare all that two runs left."""
    assert table(found).equals(table(expected), null_equal=True)
    assert curves(found) == curves(expected)
    assert outcome(found) == outcome(expected)
    weights = [torch.load(place / "weights.pt", weights_only=True) for place in (found, expected)]
    for name, value in weights[1].items():  # NaN, where a run diverged, equals NaN
        np.testing.assert_array_equal(weights[0][name], value)


def train(place, *words):
    return ["train", *NETWORK, *words, f"hydra.run.dir={place}"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 143)],
)
def test_a_run_that_is_stopped_goes_on(folder, capfd, number, code):  # noqa: F811
    assert main(train("whole")) == 0
    found, said = stopped(*train("cut", *EVERY), number=number)
    assert found == code
    if number != signal.SIGKILL:
        assert read_result(folder / "cut").status == "interrupted"
        assert "it goes on with: optlab train --resume" in said
    assert len(list((folder / "cut" / "checkpoints").glob("*.pt"))) == 2
    assert main(["train", "--resume", "cut"]) == 0
    assert "cut goes on after update 7" in capfd.readouterr().err
    assert not (folder / "cut" / "checkpoints").exists()
    assert_same(folder / "cut", folder / "whole")


@pytest.fixture
def cut(folder):  # noqa: F811
    """Return the folder of a run that was killed after 11 updates, with checkpoints at 6 and 7."""
    assert stopped(*train("cut", *EVERY))[0] == -signal.SIGKILL
    return folder / "cut"


def test_after_a_power_cut_the_checkpoint_before_is_taken_and_said(cut, folder, capfd):  # noqa: F811
    newest = max(cut.glob("checkpoints/*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    assert main(train("cut")) == 0
    said = capfd.readouterr().err
    assert "it is damaged; the one before it is used" in said
    assert "goes on after update 6" in said
    assert main(train("whole")) == 0
    assert_same(cut, folder / "whole")


def test_checkpoints_that_cannot_be_used_are_refused_with_the_reason(cut, capfd, monkeypatch):
    def refused(*words):
        capfd.readouterr()
        assert main(list(words)) == 2
        return capfd.readouterr().err

    assert "it is of another configuration" in refused(*train("cut", "seed=1"))
    with monkeypatch.context() as patch:
        patch.setattr("optlab.sweep.resuming.code_digest", lambda plugins: "other")
        assert "it was written by other code" in refused("train", "--resume", "cut")


def test_curves_that_are_lost_are_no_ground_to_go_on_from(cut, capfd):
    (cut / "metrics.parquet").unlink()
    assert main(train("cut")) == 2
    said = capfd.readouterr().err
    assert "metrics.parquet cannot be read" in said
    assert "remove" in said
    assert "checkpoints to begin it anew" in said


#: Of two programs with two runs each, one run diverges; foreign ones train one by one.
SWEEP = (
    *NETWORK,
    *("optimizer=adam,foreign", "optimizer.lr=0.01,1e30", "sweep.checkpoint=last"),
)


def sweep(place, *words):
    return ["sweep", *SWEEP, *words, f"sweep.dir={place}"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_stopped_goes_on(folder, capfd, number):  # noqa: F811
    assert main(sweep("whole")) == 0
    assert stopped(*sweep("cut", *EVERY), number=number)[0] in (-signal.SIGKILL, 143)
    assert main(["sweep", "--resume", "cut"]) == 0
    assert "2 runs go on after update 7" in capfd.readouterr().err
    assert not (folder / "cut" / "checkpoints").exists()
    runs = sorted(path.parent.name for path in (folder / "whole").glob("*/result.json"))
    assert len(runs) == 4
    for run in runs:
        assert_same(folder / "cut" / run, folder / "whole" / run)


def test_another_grid_in_between_leaves_checkpoints_alone(folder, capfd):  # noqa: F811
    assert stopped(*sweep("cut", *EVERY))[0] == -signal.SIGKILL
    assert (
        main(sweep("cut", "seed=5", "optimizer=nag", "--extend")) == 1
    )  # these runs are unfinished
    capfd.readouterr()
    assert main(["sweep", "--resume", "cut"]) == 0
    assert "2 runs go on after update 7" in capfd.readouterr().err


def test_a_run_goes_on_in_the_array_that_it_is_claimed_with(folder, capfd):  # noqa: F811
    assert main(sweep("whole")) == 0
    assert stopped(*sweep("cut", *EVERY))[0] == -signal.SIGKILL
    assert main(sweep("cut", "sweep.workers=2")) == 0
    for run in sorted(path.parent.name for path in (folder / "whole").glob("*/result.json")):
        assert_same(folder / "cut" / run, folder / "whole" / run)
