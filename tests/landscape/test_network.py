"""`optlab landscape RUN`: the loss around a trained network."""

import numpy as np
import polars as pl
import pytest
import torch

from optlab.cli import main
from optlab.config import ConfigError
from optlab.landscape.directions import principal, random_direction
from optlab.landscape.network import asked, landscape
from optlab.landscape.slices import line, plane
from optlab.results import read_result
from optlab.tasks.base import Split
from optlab.train.objective import Objective

TINY = ["task=spirals", "model.hidden=[6]", "trainer.epochs=6", "logger=none"]


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    assert main(["train", *TINY, f"hydra.run.dir={folder}"]) == 0
    return folder


def test_a_random_direction_is_as_long_as_the_weights_filter_by_filter():
    torch.manual_seed(0)
    weights = {"a": torch.randn(5, 3), "bias": torch.randn(5), "conv": torch.randn(4, 2, 3, 3)}
    direction = random_direction(weights, seed=1, number=0)
    for name in ("a", "conv"):
        torch.testing.assert_close(
            direction[name].flatten(1).norm(dim=1), weights[name].flatten(1).norm(dim=1)
        )
    assert not direction["bias"].any()
    again = random_direction(weights, seed=1, number=0)
    other = random_direction(weights, seed=1, number=1)
    assert torch.equal(direction["a"], again["a"])
    assert not torch.equal(direction["a"], other["a"])


def test_principal_directions_are_those_of_a_known_path():
    # A path along (3, 4)/5 with a little of (-4, 3)/5, seen from its end.
    along, across = torch.tensor([0.6, 0.8]), torch.tensor([-0.8, 0.6])
    places = [(10.0, 0.0), (5.0, 1.0), (1.0, -0.5), (0.0, 0.0)]
    path = [
        {"w": (a * along + b * across)[:1], "v": (a * along + b * across)[1:]} for a, b in places
    ]
    found = principal(path)
    rows = np.array(places)
    _, lengths, _ = np.linalg.svd(rows, full_matrices=False)
    assert found.explained == pytest.approx(tuple(lengths**2 / (lengths**2).sum()), abs=1e-6)
    assert found.coordinates[-1].tolist() == [0.0, 0.0]
    distances = found.coordinates.norm(dim=1).numpy()
    assert distances == pytest.approx(np.linalg.norm(rows, axis=1), abs=1e-5)


def test_a_slice_of_a_quadratic_is_the_quadratic_and_leaves_the_weights():
    """The loss of a linear model without an input but 1 is (w - 2)^2 along w."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 0.5)
    objective = Objective(
        lambda output, target: (output - target).square().mean(), lambda o, t: {}, ()
    )
    split = Split(torch.ones(4, 1), torch.full((4, 1), 2.0))
    steps = np.array([-1.0, 0.0, 1.5])
    values = line(module, objective, split, {"weight": torch.ones(1, 1)}, steps)
    assert values == pytest.approx((0.5 + steps - 2) ** 2)
    assert module.weight.item() == 0.5
    two = {"weight": torch.ones(1, 1)}, {"weight": torch.full((1, 1), 10.0)}
    grid = plane(module, objective, split, two, (steps, np.array([0.0, 0.1])))
    assert grid == pytest.approx(np.stack([(0.5 + s + steps - 2) ** 2 for s in (0.0, 1.0)]))


def test_the_map_of_a_run_has_its_loss_in_the_middle_and_its_path_ends_there(run, capsys):
    page = landscape(asked([str(run), "--points", "5"]))
    assert page == run / "landscape.html"
    assert "ends elsewhere" not in capsys.readouterr().err  # the same run, to the last bit
    random = pl.read_parquet(run / "landscape" / "landscape_random.parquet")
    (middle,) = random.filter((pl.col("x") == 0) & (pl.col("y") == 0))["loss"]
    assert middle == pytest.approx(read_result(run).train["loss"], rel=1e-5)
    path = pl.read_parquet(run / "landscape" / "landscape_path_points.parquet")
    assert path["epoch"].to_list() == [0, 1, 2, 3, 4, 5, 6]
    assert path.row(-1)[1:] == (0.0, 0.0)


def test_an_early_stop_that_goes_back_ends_the_path_at_the_best_weights(tmp_path, capsys):
    folder = tmp_path / "early"
    stop = ["trainer.patience=2", "optimizer.lr=1", "trainer.epochs=30"]
    assert main(["train", *TINY, *stop, f"hydra.run.dir={folder}"]) == 0
    landscape(asked([str(folder), "--points", "3"]))
    assert "ends elsewhere" not in capsys.readouterr().err
    random = pl.read_parquet(folder / "landscape" / "landscape_random.parquet")
    (middle,) = random.filter((pl.col("x") == 0) & (pl.col("y") == 0))["loss"]
    assert middle == pytest.approx(read_result(folder).train["loss"], rel=1e-5)


def test_another_run_than_the_one_in_the_folder_is_noticed(run, capsys):
    weights = torch.load(run / "weights.pt", weights_only=True)
    first = next(iter(weights))
    weights[first] += 0.5
    torch.save(weights, run / "weights.pt")
    landscape(asked([str(run), "--points", "3"]))
    assert "ends elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the folder of a run: optlab landscape RUN"),
        (["nowhere"], "there is no run in 'nowhere'"),
        (["{run}", "--points", "2"], "--points must be from 3 to 401, got 2"),
        (["{run}", "--span", "0"], "--span must be above 0 and finite, got 0"),
        (["{run}", "--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_what_cannot_be_drawn_is_refused(run, words, said):
    with pytest.raises(ConfigError, match=said):
        asked([word.format(run=run) for word in words])


def test_of_a_folder_of_runs_one_is_named(run):
    with pytest.raises(ConfigError, match=rf"which holds config.yaml, such as \S*{run.name}$"):
        asked([str(run.parent)])


def test_a_run_that_diverges_has_no_end_to_look_around(run):
    with pytest.raises(ConfigError, match="there is no end to look around: the training loss"):
        landscape(asked([str(run), "optimizer.lr=1e30"]))


def test_models_with_buffers_say_whose_statistics_are_used(tmp_path):
    folder = tmp_path / "norm"
    assert main(["train", *TINY, "norm=batchnorm", f"hydra.run.dir={folder}"]) == 0
    assert "Running statistics" in landscape(asked([str(folder), "--points", "3"])).read_text()
