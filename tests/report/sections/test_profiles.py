import json
from dataclasses import replace
from pathlib import Path

import pytest

from optlab.records import RunRecord
from optlab.report.charts import Chart, Views
from optlab.report.evidence import Evidence
from optlab.report.measures.targets import PROTOCOL_FILE
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.profiles import profiles
from tests.report.conftest import MakeRun

#: Record with which a method has the target, by task and by optimizer and rate; None is never.
TAKEN: dict[str, dict[str, int | None]] = {
    "a": {"adam 0.1": 2, "adam 1": 6, "sgd 0.1": 4, "sgd 1": None},
    "b": {"adam 0.1": 9, "adam 1": 2, "sgd 0.1": 3, "sgd 1": 5},
}


def run(make_run: MakeRun, task: str, method: str, taken: int | None) -> RunRecord:
    """Return a run with 10 records; the sooner it has the target, the better it ends."""
    optimizer, rate = method.split()
    config = {"task": {"name": task}, "optimizer": {"name": optimizer, "lr": float(rate)}}
    final = 0.5 if taken is None else 0.9 - taken / 100
    curve = [0.1] * (9 if taken is None else taken)
    curve += [final] * (10 - len(curve))
    return make_run(config, val={"accuracy": final, "loss": 1.0}, curves={"accuracy/val": curve})


@pytest.fixture
def records(make_run: MakeRun, tmp_path: Path) -> list[RunRecord]:
    fixed = {task: {"metric": "accuracy", "value": 0.8, "from": "a choice"} for task in TAKEN}
    (tmp_path / PROTOCOL_FILE).write_text(json.dumps({"targets": fixed}))
    return [run(make_run, task, *each) for task, own in TAKEN.items() for each in own.items()]


def section(records: list[RunRecord]) -> Section:
    found = profiles(Evidence(records, rank(records)))
    assert found is not None
    return found


def chart(found: Section, choice: str) -> Chart:
    (figure,) = found.figures
    assert isinstance(figure, Views)
    own = figure.choices[choice]
    assert isinstance(own, Chart)
    return own


def test_one_task_has_no_profile(records: list[RunRecord]) -> None:
    own = records[:4]
    assert profiles(Evidence(own, rank(own))) is None


def test_options_of_one_task_are_not_several(records: list[RunRecord]) -> None:
    assert not any("under other conditions" in said for said in section(records).sentences)
    noise = {"a": 0, "b": 1}
    same = [
        replace(
            r, config={**r.config, "task": {"name": "a", "noise": noise[r.options["task.name"]]}}
        )
        for r in records
    ]
    fixed = {f"a, noise={n}": {"metric": "accuracy", "value": 0.8, "from": ""} for n in (0, 1)}
    (records[0].folder.parent / PROTOCOL_FILE).write_text(json.dumps({"targets": fixed}))
    assert any("are one and the same under" in said for said in section(same).sentences)


def test_targets_that_nobody_reached_have_no_profile(make_run: MakeRun) -> None:
    own = [run(make_run, task, "sgd 1", None) for task in TAKEN]
    fixed = {task: {"metric": "accuracy", "value": 0.9, "from": "a choice"} for task in TAKEN}
    (own[0].folder.parent / PROTOCOL_FILE).write_text(json.dumps({"targets": fixed}))
    assert profiles(Evidence(own, rank(own))) is None


def test_tuned_for_each_task_the_fastest_everywhere_scores_1(records: list[RunRecord]) -> None:
    found = section(records)
    rows = {row[0]: row[1:4] for row in found.tables[0].rows}
    assert rows["adam"] == (1.0, 2, 1.0)
    # Twice as long on one task, one and a half times on the other.
    assert rows["sgd"] == (pytest.approx((2 / 3 + 2.5 / 3) / 2), 2, pytest.approx(3**0.5))
    assert "adam has the highest score, 1" in found.sentences[1]
    lines = {line.name: line for line in chart(found, "tuned for each task").series}
    assert lines["sgd"].x.tolist() == [1, 1.5, 2, 4]
    assert lines["sgd"].y.tolist() == [0, 0.5, 1, 1]


def test_one_setting_is_held_against_all_settings(records: list[RunRecord]) -> None:
    found = section(records)
    rows = {row[0]: row[4:] for row in found.tables[0].rows}
    # adam at 1 takes 6 records where 2 would do, and is the fastest on the other task.
    assert rows["adam"] == ("adam, lr=1", pytest.approx((1 / 3 + 1) / 2), 2, pytest.approx(3**0.5))
    assert rows["sgd"][0] == "sgd, lr=0.1"
    assert rows["sgd"][1] == pytest.approx((2 / 3 + 2.5 / 3) / 2)
    names = [line.name for line in chart(found, "one setting for all tasks").series]
    assert names == ["sgd, lr=0.1", "adam, lr=1"]


def test_not_to_have_been_run_is_a_miss(records: list[RunRecord]) -> None:
    rows = {row[0]: row[1:] for row in section(records[:6]).tables[0].rows}
    assert rows["sgd"][:2] == (pytest.approx(2 / 3 / 2), 1)
    assert rows["sgd"][3] is None  # no setting of it was tried on both tasks


def test_without_a_setting_tried_everywhere_there_is_one_view(records: list[RunRecord]) -> None:
    found = section([records[0], records[5]])
    (figure,) = found.figures
    assert isinstance(figure, Views)
    assert list(figure.choices) == ["tuned for each task"]
    assert len(found.tables[0].columns) == 4
