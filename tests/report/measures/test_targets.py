import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optlab.config import ConfigError
from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.measures.targets import PROTOCOL_FILE, Target, fair_unit, reached, targets
from optlab.report.ranking import rank
from tests.report.conftest import MakeRun

GOAL = {"digits": Target("accuracy", 0.9, "")}


def evidence(*records: RunRecord) -> Evidence:
    return Evidence(records, rank(records))


def curve(
    make_run: MakeRun, *accuracies: float, optimizer: str = "adam", seed: int = 0, **more: Any
) -> RunRecord:
    """Return a run with records at updates 0, 5 and 10 of 10."""
    config = {"seed": seed, "task": {"name": "digits"}, "optimizer": {"name": optimizer}}
    curves = {"accuracy/val": accuracies} if accuracies else None
    final = accuracies[-1] if accuracies else 0.5
    return make_run(config, val={"accuracy": final, "loss": 1.0}, curves=curves, **more)


def test_a_target_is_the_median_of_the_best_baseline(make_run: MakeRun) -> None:
    runs = [curve(make_run, 0.1, v, seed=s) for s, v in enumerate((0.6, 0.7, 0.95))]
    better = curve(make_run, 0.1, 0.99, optimizer="lion")
    worse = curve(make_run, 0.1, 0.2, optimizer="sgd")
    (target,) = targets(evidence(*runs, better, worse)).values()
    assert (target.metric, target.value) == ("accuracy", 0.7)
    assert "best baseline, adam" in target.origin


def test_without_a_baseline_it_is_the_best_cell(make_run: MakeRun) -> None:
    runs = [curve(make_run, 0.9, optimizer=name) for name in ("lion", "soap")]
    (target,) = targets(evidence(*runs)).values()
    assert "the best cell" in target.origin


def test_what_diverged_sets_no_target(make_run: MakeRun) -> None:
    lost = [curve(make_run, 0.9, seed=seed, status="diverged") for seed in (1, 2)]
    other = curve(make_run, 0.1, optimizer="lion")
    assert targets(evidence(curve(make_run, 0.9), *lost, other)) == {}


def test_a_cell_alone_is_no_target_for_itself(make_run: MakeRun) -> None:
    assert targets(evidence(curve(make_run, 0.9), curve(make_run, 0.8, seed=1))) == {}


def test_a_protocol_sets_targets(make_run: MakeRun) -> None:
    run = curve(make_run, 0.1, 0.6)
    fixed = {"digits": {"metric": "accuracy", "value": 0.8, "from": "20 reruns"}}
    (run.folder.parent / PROTOCOL_FILE).write_text(json.dumps({"targets": fixed}))
    assert targets(evidence(run)) == {"digits": Target("accuracy", 0.8, "20 reruns")}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"targets": {"digits": {}}}',
        '{"targets": {"digits": {"metric": "f1", "value": 1, "from": ""}}}',
        "[]",
    ],
)
def test_a_damaged_protocol_is_named(make_run: MakeRun, content: str) -> None:
    run = curve(make_run, 0.1, 0.6)
    (run.folder.parent / PROTOCOL_FILE).write_text(content)
    with pytest.raises(ConfigError, match=PROTOCOL_FILE):
        targets(evidence(run))


def test_the_first_record_that_is_as_good_counts(make_run: MakeRun) -> None:
    run = curve(make_run, 0.1, 0.9, 0.3)
    lost = curve(make_run, 0.1, 0.95, seed=1, status="diverged")  # had it, and diverged later
    never = curve(make_run, 0.1, 0.2, 0.3, seed=2)
    failed = curve(make_run, seed=3, status="failed")
    unknown = curve(make_run, seed=4)
    stopped = curve(make_run, 0.1, 0.95, seed=5, status="interrupted")
    own = reached(evidence(run, lost, never, failed, unknown, stopped), GOAL)["digits"][1]
    assert own.updates.tolist() == [5, 5, math.inf, math.inf]
    assert own.share == 0.5
    assert own.median("updates") == math.inf  # of 5, 5, inf, inf
    assert own.costs("epochs").tolist() == [1, 1, math.inf, math.inf]


def test_a_loss_is_reached_from_above(make_run: MakeRun) -> None:
    config = {"task": {"name": "sphere"}, "optimizer": {"name": "sgd"}}
    run = make_run(config, val={"loss": -2.0}, curves={"loss/val": [3.0, -1.0, -2.0]})
    worse = make_run({**config, "optimizer": {"name": "adam"}}, val={"loss": 1.0})
    own = evidence(run, worse)
    assert targets(own)["sphere"].value == -2.0
    goals = {"sphere": Target("loss", -1.0, "")}
    assert reached(own, goals)["sphere"][1].updates.tolist() == [5]


def test_without_records_nothing_is_known(make_run: MakeRun) -> None:
    own = evidence(curve(make_run), curve(make_run, optimizer="sgd"))
    assert reached(own, targets(own)) == {}


def timed(record: RunRecord, shared_by: int | None, rows: int | None) -> RunRecord:
    result = replace(record.result, shared_by=shared_by, row_gradients=rows)
    return replace(record, result=result)


@pytest.mark.parametrize(("shared", "is_known"), [((1, 1), True), ((1, 8), False)])
def test_seconds_are_known_where_all_runs_were_timed_alone(
    make_run: MakeRun, shared: tuple[int, int], is_known: bool
) -> None:
    runs = [timed(curve(make_run, 0.1, 0.95, seed=seed), by, 640) for seed, by in enumerate(shared)]
    own = reached(evidence(*runs), GOAL)["digits"][1]
    # 5 of 10 updates, which took half a second in all.
    np.testing.assert_equal(own.median("seconds"), 0.25 if is_known else math.nan)
    assert own.median("row gradients") == 320


def test_runs_that_failed_before_an_update_are_misses_in_every_unit(make_run: MakeRun) -> None:
    begun = [curve(make_run, seed=seed, status="failed") for seed in (0, 1)]
    runs = [replace(run, result=replace(run.result, updates=0, epochs=0.0)) for run in begun]
    known = timed(curve(make_run, 0.1, 0.95, optimizer="sgd"), 1, 640)
    own = reached(evidence(*runs, known), GOAL)["digits"]
    failed = own[2]
    assert failed.costs("row gradients").tolist() == [math.inf, math.inf]
    assert (failed.median("epochs"), failed.tells("epochs")) == (math.inf, False)
    assert fair_unit(own.values()) == "row gradients"


def test_methods_are_compared_in_gradients_where_all_are_known(make_run: MakeRun) -> None:
    known = timed(curve(make_run, 0.1, 0.95), 1, 640)
    unknown = curve(make_run, 0.1, 0.95, optimizer="sgd")
    own = reached(evidence(known, unknown), GOAL)["digits"]
    assert fair_unit([own[1]]) == "row gradients"
    assert fair_unit(own.values()) == "epochs"
