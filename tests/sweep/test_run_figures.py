"""What a run draws of itself, and that it is the run's own."""

import copy

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.build import parts_of
from optlab.cli import main
from optlab.results import read_result
from optlab.sweep.run_figures import FIGURES, _first_weights, run_figures
from tests.sweep.composing import _composed as composed

ALONE = "logger.figures=auto"


def names(folder):
    return sorted(path.name for path in (folder / FIGURES).iterdir())


def tags(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [e.step for e in events.Tensors(name)] for name in events.Tags()["tensors"]}


def test_a_run_alone_draws_itself_into_its_folder_and_tensorboard(train):
    where = train("run", ALONE)
    drawn = ["activations.png", "confusion.png", "first_weights.png"]
    assert names(where) == drawn
    found = tags(where)
    assert [found[name.removesuffix(".png")] for name in drawn] == [[3]] * 3
    assert found["model"] == [0]


def test_a_path_is_drawn_of_a_test_function_and_images_of_digits(train):
    function = train("valley", ALONE, tiny=["task=rosenbrock", "trainer.epochs=3"])
    assert names(function) == ["path.png"]
    digits = train("digits", ALONE, "trainer.epochs=0", tiny=["task=digits"])
    assert "samples.png" in names(digits)


def test_sequences_of_tokens_are_a_text(train):
    tiny = ["task=copy", "task.rows=60", "task.length=3", "model=rnn", "trainer.epochs=1"]
    where = train("run", ALONE, tiny=tiny)
    assert "samples.md" in names(where)
    assert "samples" in tags(where)


@pytest.mark.parametrize(("wanted", "is_drawn"), [("auto", False), ("true", True)])
def test_runs_of_a_sweep_draw_themselves_when_they_are_told_to(folder, wanted, is_drawn):
    tiny = ["task=xor", "trainer.epochs=2", "logger.console=false", "sweep.dir=sweep"]
    assert main(["sweep", *tiny, f"logger.figures={wanted}", "seed=0,1"]) == 0
    runs = [path.parent for path in folder.rglob("result.json")]
    assert len(runs) == 2
    for run in runs:
        assert (run / FIGURES).exists() == is_drawn
        assert ("confusion" in tags(run)) == is_drawn


def test_without_tensorboard_there_are_files_alone(train):
    where = train("run", ALONE, "logger.tensorboard=false")
    assert "confusion.png" in names(where)
    assert not list(where.glob("*tfevents*"))


def test_a_run_that_diverged_draws_what_can_be_drawn(train):
    tiny = ["task=rosenbrock", "optimizer=minibatch_gd", "optimizer.lr=10", "trainer.epochs=50"]
    where = train("run", ALONE, tiny=tiny)
    assert read_result(where).status == "diverged"
    assert names(where) == ["path.png"]


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=blobs", "model.hidden=[8]", "norm=batchnorm"),
        ("task=recall", "model=lstm", "model.recurrent_init=orthogonal"),
        ("task=digits", "model=resnet", "model.depth=8", "init=xavier_uniform", "seed=3"),
    ],
    ids=["mlp", "lstm", "resnet"],
)
def test_first_weights_are_those_that_the_run_began_with(overrides):
    config = composed(*overrides)
    module = parts_of(config).module
    begun = copy.deepcopy(module)
    for parameter in module.parameters():
        parameter.detach().add_(1.0)  # it has been trained since
    found = _first_weights(config, module, [config["seed"]])
    weights = {name: p for name, p in begun.named_parameters() if p.ndim >= 2}
    assert found.keys() == weights.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(found[name][0], weight.detach().double().numpy())


def test_a_picture_that_cannot_be_drawn_is_told_and_left_out(tmp_path, monkeypatch, capsys):
    def broken(config, parts):
        raise ValueError("not today")

    monkeypatch.setattr("optlab.sweep.run_figures.predictions", broken)
    config = composed("task=blobs")
    drawn = run_figures(config, parts_of(config), tmp_path)
    assert sorted(drawn.pictures) == ["activations", "first_weights"]
    assert "of_predictions was not drawn: ValueError: not today" in capsys.readouterr().err


def test_starting_a_run_does_not_wait_for_matplotlib():
    import subprocess
    import sys

    code = "import sys, optlab.sweep.lone_run; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
