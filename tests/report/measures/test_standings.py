import math
from dataclasses import replace

import numpy as np
import pytest

from optlab.records import RunRecord
from optlab.report.measures.standings import LOWEST, Standings, standings, tuned
from tests.report.trials import evidence, trials

TASKS = ("blobs", "digits", "spirals", "xor")


def runs(**values: list[float]) -> list[RunRecord]:
    """Return runs of each optimizer with the same values on every task."""
    return [run for task in TASKS for run in trials(values, task=task)]


def found(records: list[RunRecord]) -> Standings:
    seen = evidence(records)
    result = standings(seen, tuned(seen))
    assert result is not None
    return result


def test_who_is_best_on_every_task_has_rank_1_and_score_1() -> None:
    result = found(runs(adam=[0.9, 0.9], sgd=[0.8, 0.8], lion=[0.6, 0.6]))
    assert [(row.method, row.rank) for row in result.rows] == [
        ("adam", 1.0),
        ("sgd", 2.0),
        ("lion", 3.0),
    ]
    assert [row.score.estimate for row in result.rows] == pytest.approx([1.0, 0.0, LOWEST])
    assert result.p == pytest.approx(math.exp(-4))  # chi-squared of 8 with two degrees
    assert result.rows[2].p < 0.05 < result.rows[1].p


def test_scores_know_no_unit_of_a_task() -> None:
    values = {"adam": [0.9, 0.8], "sgd": [0.7, 0.8], "lion": [0.3, 0.5]}
    small = {name: [v / 10 for v in own] for name, own in values.items()}
    mixed = [
        run for i, task in enumerate(TASKS) for run in trials(small if i % 2 else values, task=task)
    ]
    for own, other in zip(found(runs(**values)).rows, found(mixed).rows, strict=True):
        assert other.score.estimate == pytest.approx(own.score.estimate)


def test_a_method_that_lacks_a_task_comes_last_there() -> None:
    records = runs(adam=[0.9, 0.9], sgd=[0.8, 0.8], lion=[0.6, 0.6])
    gone = {("spirals", "adam"), ("xor", "adam")}
    lacking = [record for record in records if record.folder.parts[:2] not in gone]
    rows = {row.method: row for row in found(lacking).rows}
    assert (rows["adam"].tasks, rows["adam"].rank) == (2, (1 + 1 + 3 + 3) / 4)
    assert rows["adam"].score.estimate == pytest.approx((1.0 + LOWEST) / 2)


def test_a_diverged_run_has_the_lowest_score() -> None:
    losses = {"adam": [0.1, math.inf], "sgd": [0.2, 0.2], "lion": [0.4, 0.4]}
    records = [r for task in TASKS for r in trials(losses, task=task, by="loss")]
    rows = {row.method: row for row in found(records).rows}
    assert rows["adam"].rank == 3.0  # its mean loss is infinite
    # sgd is now the best and lion the middle; a run of adam is beyond the best, the other lost.
    assert rows["sgd"].score.estimate == pytest.approx(1.0)
    assert rows["adam"].score.estimate == pytest.approx(np.mean([1.5, LOWEST]))


def test_where_half_tie_with_the_best_the_worst_is_zero() -> None:
    rows = found(runs(adam=[0.9, 0.9], sgd=[0.9, 0.9], lion=[0.5, 0.5])).rows
    assert [row.score.estimate for row in rows] == pytest.approx([1.0, 1.0, 0.0])


def test_one_seed_has_scores_and_no_interval() -> None:
    row = found(runs(adam=[0.9], sgd=[0.8], lion=[0.7])).rows[0]
    assert row.score.estimate == 1.0
    assert math.isnan(row.score.low)


def test_each_optimizer_is_taken_at_its_best_on_each_task() -> None:
    first = trials({"adam 0.1": [0.9], "adam 1": [0.2]}, task="digits")
    second = trials({"adam 0.1": [0.3], "adam 1": [0.8]}, task="xor")
    cells = tuned(evidence([*first, *second]))["adam"]
    assert {task: cell.key["optimizer.lr"] for task, cell in cells.items()} == {
        "digits": 0.1,
        "xor": 1.0,
    }


def test_means_that_only_single_precision_tells_apart_share_a_rank() -> None:
    rows = {"adam": [340, 340, 345], "sgd": [340, 341, 344], "lion": [341, 341, 343]}
    shares = {n: [float(np.float32(own / 360)) for own in r] for n, r in rows.items()}
    assert len({sum(own) for own in shares.values()}) > 1
    assert {row.rank for row in found(runs(**shares)).rows} == {2.0}


def test_options_of_one_task_make_no_other_task() -> None:
    values = {"adam": [0.9], "sgd": [0.8]}
    other = [
        replace(r, config={**r.config, "task": {"name": "digits", "label_noise": 0.2}})
        for r in trials(values, task="digits")
    ]
    result = found([*runs(**values), *other])
    assert (result.tasks, result.apart) == (5, 4)


def test_two_tasks_are_too_few() -> None:
    few = [r for task in TASKS[:2] for r in trials({"adam": [0.9], "sgd": [0.8]}, task=task)]
    seen = evidence(few)
    assert standings(seen, tuned(seen)) is None
