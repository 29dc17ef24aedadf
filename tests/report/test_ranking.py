import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from optlab.config import ConfigError
from optlab.records import RunRecord
from optlab.report.cells import Cell
from optlab.report.ranking import estimate, rank, score
from optlab.results import RunResult

MakeRun = Callable[..., RunRecord]


def config(optimizer: str = "adam", lr: float = 0.1, seed: int = 0, **more: str) -> dict:
    sections = {name: {"name": value} for name, value in more.items()}
    return {"seed": seed, "optimizer": {"name": optimizer, "lr": lr}, **sections}


def accuracy(value: float) -> dict[str, float]:
    return {"loss": 1.0 - value, "accuracy": value}


def in_memory(optimizer: str, seed: int, val: dict[str, float], status: str = "done") -> RunRecord:
    result = RunResult(
        name=optimizer,
        status=status,
        updates=1,
        epochs=1.0,
        train={},
        val=val,
        test={},
        total_s=1.0,
        training_s=1.0,
        config_hash=f"{optimizer}{seed}",
        seed=seed,
        device="a device",
        started="",
    )
    return RunRecord(config(optimizer, seed=seed), result, Path(f"{optimizer}{seed}"))


def labels(cells: list[Cell]) -> list[str]:
    return [cell.label for cell in cells]


def test_runs_that_differ_only_in_their_seed_form_a_cell(make_run: MakeRun) -> None:
    values = {("adam", 0): 0.9, ("adam", 1): 0.8, ("sgd", 0): 0.5, ("sgd", 1): 0.6}
    runs = [make_run(config(name, seed=s), val=accuracy(v)) for (name, s), v in values.items()]
    ranking = rank(runs)
    assert ranking.metrics == {"": "accuracy"}
    assert ranking.keys == ("optimizer.name",)
    assert [(c.rank, c.label, c.runs) for c in ranking.cells] == [
        (1, "adam", 2),
        (2, "sgd", 2),
    ]
    assert ranking.cells[0].val.mean == pytest.approx(0.85)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9).filter(lambda v: len({*v}) > 1))
def test_interval_is_the_t_interval_of_scipy(values: list[float]) -> None:
    found, error = estimate(values), stats.sem(values)
    assert found.mean == pytest.approx(sum(values) / len(values), abs=1e-12)
    half = stats.t.ppf(0.975, len(values) - 1) * error
    # Rounding of a difference of numbers up to 10.
    assert found.high - found.low == pytest.approx(2 * half, rel=1e-9, abs=1e-12)
    assert (found.low + found.high) / 2 == pytest.approx(found.mean, abs=1e-9)
    assert found.std == pytest.approx(error * math.sqrt(len(values)), abs=1e-9)


def test_runs_of_equal_values_have_a_spread_of_zero_and_no_interval() -> None:
    for metric in ("accuracy", "loss"):
        found = estimate([0.9694, 0.9694], metric)
        assert (found.mean, found.std) == (0.9694, 0.0)
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_the_interquartile_mean_stands_beside_the_mean_and_outlives_a_lost_run(
    make_run: MakeRun,
) -> None:
    losses = (1.0, 2.0, 3.0, 4.0, 5.0)
    runs = [make_run(config(seed=seed), val={"loss": v}) for seed, v in enumerate(losses)]
    (cell,) = rank(runs).cells
    assert (cell.val.mean, cell.val.iqm, cell.scored) == (3.0, 3.0, 5)
    runs[4] = make_run(config(seed=4), status="diverged")
    (cell,) = rank(runs).cells
    assert (cell.val.mean, cell.val.iqm, cell.scored) == (math.inf, 3.0, 5)
    assert math.isnan(cell.val.low)


def test_interval_of_an_accuracy_stays_between_0_and_1(make_run: MakeRun) -> None:
    values = {("high", 0): 0.95, ("high", 1): 0.99, ("low", 0): 0.01, ("low", 1): 0.05}
    high, low = rank(
        [make_run(config(name, seed=s), val=accuracy(v)) for (name, s), v in values.items()]
    ).cells
    assert 0.97 < high.val.high < 1.0
    assert 0.0 < low.val.low < 0.03
    assert high.val.low == pytest.approx(1 - low.val.high)


def test_one_run_has_a_mean_and_no_interval(make_run: MakeRun) -> None:
    (cell,) = rank([make_run(config(), val=accuracy(0.75))]).cells
    assert (cell.rank, cell.label, cell.val.mean) == (1, "adam", 0.75)
    assert all(math.isnan(value) for value in (cell.val.std, cell.val.low, cell.val.high))


def test_the_test_split_is_reported_and_does_not_rank(make_run: MakeRun) -> None:
    make = [
        make_run(config("lucky"), val=accuracy(0.5), test=accuracy(0.99)),
        make_run(config("good"), val=accuracy(0.6), test=accuracy(0.55)),
    ]
    cells = rank(make).cells
    assert labels(cells) == ["good", "lucky"]
    assert [cell.test.mean for cell in cells] == [0.55, 0.99]


def test_without_accuracies_the_lower_loss_wins(make_run: MakeRun) -> None:
    runs = [
        make_run(config("high"), val={"loss": 2.0}),
        make_run(config("low"), val={"loss": 0.5}),
    ]
    assert rank(runs).metrics == {"": "loss"}
    assert labels(rank(runs).cells) == ["low", "high"]


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_run_that_did_not_end_well_is_kept_as_the_worst(make_run: MakeRun, status: str) -> None:
    runs = [
        make_run(config("bold", seed=0), val=accuracy(0.99)),
        # What a diverged run happens to have recorded does not count for it.
        make_run(config("bold", seed=1), val=accuracy(0.99), status=status),
        make_run(config("safe", seed=0), val=accuracy(0.6)),
        make_run(config("safe", seed=1), val=accuracy(0.5)),
    ]
    safe, bold = rank(runs).cells
    assert (safe.label, bold.label) == ("safe", "bold")
    assert bold.val.mean == pytest.approx(0.495)
    assert (bold.runs, bold.ends[status]) == (2, 1)
    assert bold.final_loss == math.inf


@given(
    good=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5),
    place=st.integers(0, 4),
    metric=st.sampled_from(["accuracy", "loss"]),
    ending=st.sampled_from(["diverged", "failed", "nan"]),
)
def test_ending_badly_never_improves_score_or_rank(
    good: list[float], place: int, metric: str, ending: str
) -> None:
    rival = in_memory("rival", 9, {metric: sum(good) / len(good), "loss": 0.5})
    cell = [in_memory("adam", seed, {"loss": 0.5, metric: v}) for seed, v in enumerate(good)]
    before = {c.label: c for c in rank([*cell, rival]).cells}["adam"]
    place %= len(good)
    if ending == "nan":
        cell[place] = in_memory("adam", place, {"loss": math.nan, metric: math.nan})
    else:
        cell[place] = in_memory("adam", place, cell[place].result.val, ending)
    after = {c.label: c for c in rank([*cell, rival]).cells}["adam"]
    assert after.rank >= before.rank
    assert after.runs == len(good)
    if metric == "accuracy":
        assert after.val.mean < before.val.mean
    else:
        assert after.val.mean > before.val.mean


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_scores_worst_whatever_the_status(
    make_run: MakeRun, value: float
) -> None:
    record = make_run(config(), val={"loss": value, "accuracy": value})
    assert score(record, "val", "accuracy") == 0.0
    assert score(record, "val", "loss") == math.inf
    assert score(record, "test", "loss") == math.inf  # missing


def test_cells_without_a_finite_loss_are_ordered_by_how_many_runs_they_lost(
    make_run: MakeRun,
) -> None:
    runs = [
        make_run(config("never", seed=0), status="diverged"),
        make_run(config("never", seed=1), status="diverged"),
        make_run(config("half", seed=0), val={"loss": 9.0}),
        make_run(config("half", seed=1), status="diverged"),
        make_run(config("half_lower", seed=0), val={"loss": 8.0}),
        make_run(config("half_lower", seed=1), status="failed"),
        make_run(config("whole", seed=0), val={"loss": 99.0}),
    ]
    assert labels(rank(runs).cells) == ["whole", "half_lower", "half", "never"]


def test_a_cell_of_lost_runs_has_no_interval(make_run: MakeRun) -> None:
    runs = [make_run(config("adam", seed=seed), status="diverged") for seed in range(3)]
    runs.append(make_run(config("sgd"), val=accuracy(0.5)))
    lost = rank(runs).cells[-1]
    assert (lost.label, lost.val.mean) == ("adam", 0.0)
    assert math.isnan(lost.val.low)


def test_interrupted_runs_are_counted_and_not_scored(make_run: MakeRun) -> None:
    runs = [
        make_run(config("adam", seed=0), val=accuracy(0.8)),
        make_run(config("adam", seed=1), val=accuracy(0.1), status="interrupted"),
        make_run(config("never", seed=0), val=accuracy(0.99), status="interrupted"),
        make_run(config("poor", seed=0), val=accuracy(0.05)),
    ]
    cells = rank(runs).cells
    assert labels(cells) == ["adam", "poor", "never"]
    assert (cells[0].val.mean, cells[0].ends["interrupted"]) == (0.8, 1)
    assert (cells[0].runs, cells[0].scored) == (2, 1)
    assert math.isnan(cells[2].val.mean)


def test_an_interrupted_run_breaks_no_tie(make_run: MakeRun) -> None:
    runs = [
        make_run(config("adam", seed=0), val={"accuracy": 0.8, "loss": 1.0}),
        make_run(config("adam", seed=1), status="interrupted"),
        make_run(config("nag", seed=0), val={"accuracy": 0.8, "loss": 2.0}),
    ]
    assert labels(rank(runs).cells) == ["adam", "nag"]


def test_accuracies_that_only_single_precision_tells_apart_are_ordered_by_loss(
    make_run: MakeRun,
) -> None:
    rows = {"adam": (340, 340, 345), "nag": (341, 341, 343)}  # nag's mean is 2e-8 higher
    runs = [
        make_run(
            config(name, seed=seed), val={"accuracy": float(np.float32(n / 360)), "loss": loss}
        )
        for (name, own), loss in zip(rows.items(), (1.0, 2.0), strict=True)
        for seed, n in enumerate(own)
    ]
    assert labels(rank(runs).cells) == ["adam", "nag"]


def test_the_same_run_twice_counts_once_and_the_last_counts(make_run: MakeRun) -> None:
    runs = [
        make_run(config("adam"), val=accuracy(0.8), started="2026-01-02T00:00:00+00:00"),
        make_run(config("adam"), val=accuracy(0.7), started="2026-01-01T00:00:00+00:00"),
        make_run(config("adam"), status="interrupted", started="2026-01-03T00:00:00+00:00"),
    ]
    (cell,) = rank(runs).cells
    assert (cell.runs, cell.val.mean) == (1, 0.8)


def test_ranks_start_anew_in_every_task(make_run: MakeRun) -> None:
    values = {("adam", "digits"): 0.9, ("sgd", "digits"): 0.8, ("adam", "moons"): 1.0}
    runs = [make_run(config(o, task=t), val=accuracy(v)) for (o, t), v in values.items()]
    groups = rank(runs).groups
    places = {name: [(c.rank, c.label) for c in cells] for name, cells in groups.items()}
    assert places == {"digits": [(1, "adam"), (2, "sgd")], "moons": [(1, "adam")]}


def test_a_task_without_accuracies_leaves_the_others_theirs(make_run: MakeRun) -> None:
    runs = [
        make_run(config("adam", task="digits"), val={"loss": 0.5, "accuracy": 0.6}),
        make_run(config("sgd", task="digits"), val={"loss": 0.6, "accuracy": 0.9}),
        make_run(config("adam", task="rosenbrock"), val={"loss": 3.0}),
        make_run(config("sgd", task="rosenbrock"), val={"loss": 2.0}),
    ]
    ranking = rank(runs)
    assert ranking.metrics == {"digits": "accuracy", "rosenbrock": "loss"}
    for cells in ranking.groups.values():
        assert [(c.rank, c.optimizer) for c in cells] == [(1, "sgd"), (2, "adam")]
    assert [c.val.mean for c in ranking.cells] == [0.9, 0.6, 2.0, 3.0]


def test_values_of_different_losses_are_ranked_apart_but_their_accuracies_together(
    make_run: MakeRun,
) -> None:
    runs = [
        make_run(config(loss="mse"), val={"loss": 0.1, "accuracy": 0.7}),
        make_run(config(loss="cross_entropy"), val={"loss": 0.5, "accuracy": 0.9}),
    ]
    assert labels(rank(runs).cells) == ["cross_entropy", "mse"]
    for run in runs:
        del run.result.val["accuracy"]
    assert {name: len(cells) for name, cells in rank(runs).groups.items()} == {
        "cross_entropy": 1,
        "mse": 1,
    }


def test_keys_put_the_optimizer_first_and_labels_are_short(make_run: MakeRun) -> None:
    runs = [
        make_run(config("adam", lr=0.1, init="he", norm="none"), val=accuracy(0.9)),
        make_run(config("adam", lr=1e-5, init="he", norm="batch"), val=accuracy(0.8)),
        make_run(config("sgd", lr=0.1, init="xavier", norm="none"), val=accuracy(0.7)),
    ]
    ranking = rank(runs)
    assert ranking.keys == ("optimizer.name", "optimizer.lr", "init.name", "norm.name")
    assert labels(ranking.cells)[:2] == ["adam, lr=0.1, he, norm=none", "adam, lr=1e-05, he, batch"]


def test_losses_are_means_over_seeds_of_the_lowest_and_of_the_last(make_run: MakeRun) -> None:
    runs = [make_run(config(seed=s), val={"loss": v}) for s, v in ((0, 1.0), (1, 3.0))]
    (cell,) = rank(runs, {runs[0].folder: 0.5}).cells
    assert (cell.best_loss, cell.final_loss) == (1.75, 2.0)


def test_plugins_make_no_cell_and_no_second_run(make_run: MakeRun) -> None:
    runs = [
        make_run(config("adam") | {"plugins": []}, val=accuracy(0.5)),
        make_run(config("adam", seed=1) | {"plugins": ["signum"]}, val=accuracy(0.7)),
        make_run(config("adam", seed=1) | {"plugins": []}, val=accuracy(0.7)),
    ]
    ranking = rank(runs)
    assert ranking.keys == ("optimizer.name",)
    assert [cell.runs for cell in ranking.cells] == [2]


def test_no_runs_are_an_error() -> None:
    with pytest.raises(ConfigError, match="no ended run"):
        rank([])


def test_where_no_run_is_done_cells_have_no_rank(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0, "task": {"name": task}, "optimizer": {"name": name}}, **end)
        for task, end in (("a", {"status": "failed"}), ("b", {"val": {"loss": 1.0}}))
        for name in ("adam", "sgd")
    ]
    ranking = rank(runs)
    assert [cell.rank for cell in ranking.groups["a"]] == [0, 0]
    assert [cell.rank for cell in ranking.groups["b"]] == [1, 2]
    assert list(ranking.ranked) == ["b"]


def test_cells_of_amsgrad_and_of_the_classes_of_others_are_told_apart(make_run: MakeRun) -> None:
    options = [{"name": "adam", "amsgrad": False}, {"name": "adam", "amsgrad": True}]
    options += [{"name": "foreign", "target": "torch.optim.SGD"}]
    runs = [make_run({"seed": 0, "optimizer": each}, val={"loss": 1.0}) for each in options]
    assert [c.optimizer for c in rank(runs).cells] == ["adam", "amsgrad", "torch.optim.SGD"]
    assert [cell.optimizer for cell in rank(runs[1:2]).cells] == ["amsgrad"]
    assert [cell.optimizer for cell in rank(runs[2:]).cells] == ["torch.optim.SGD"]
