from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.environment import environment

MakeRun = Callable[..., RunRecord]
KNOWN: dict[str, Any] = {
    "versions": {"torch": "2.15"},
    "commit": "0123456789abcdef",
    "dirty": False,
    "platform": "Linux",
    "threads": 1,
    "execution": "native",
    "flags": {"OMP_NUM_THREADS": "1"},
    "shared_by": 1,
}


def section(records: list[RunRecord]) -> Section:
    return environment(Evidence(records, rank(records)))


def run_of(make_run: MakeRun, seed: int, **changes: Any) -> RunRecord:
    run = make_run({"seed": seed}, val={"loss": 1.0})
    return replace(run, result=replace(run.result, **(KNOWN | changes)))


def rows(found: Section) -> list[tuple[Any, ...]]:
    (table,) = found.tables
    return [tuple(row) for row in table.rows]


def test_runs_of_one_environment_are_said_to_be(make_run: MakeRun) -> None:
    found = section([run_of(make_run, seed) for seed in (0, 1)])
    assert found.sentences[0] == (
        "All runs come from the same versions, code, device and settings."
    )
    assert len(found.sentences) == 2
    assert rows(found) == [
        ("commit of optlab", "0123456789ab", 2),
        ("uncommitted changes", "no", 2),
        ("version of torch", "2.15", 2),
        ("platform", "Linux", 2),
        ("device", "a device", 2),
        ("threads", "1", 2),
        ("execution", "native", 2),
        ("runs that trained together", "1, alone", 2),
        ("OMP_NUM_THREADS", "1", 2),
    ]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"versions": {"torch": "2.14"}}, "version of torch"),
        ({"versions": {"torch": "2.15", "plugin": "1"}}, "version of plugin"),
        ({"commit": None}, "commit of optlab"),
        ({"device": "another"}, "device"),
        ({"threads": 2}, "threads"),
        ({"flags": {}}, "OMP_NUM_THREADS"),
        ({"platform": "Windows"}, "platform"),
    ],
)
def test_what_is_not_the_same_for_all_is_said(
    make_run: MakeRun, change: dict[str, Any], name: str
) -> None:
    found = section([run_of(make_run, 0), run_of(make_run, 1), run_of(make_run, 2, **change)])
    assert f"they differ in {name}." in found.sentences[0]
    assert sorted(row[2] for row in rows(found) if row[0] == name) == [1, 2]


def test_ways_of_execution_differ_in_times_and_not_in_results(make_run: MakeRun) -> None:
    runs = [run_of(make_run, 0), run_of(make_run, 1, execution="eager: why", shared_by=3)]
    found = section(runs)
    assert found.sentences[0].startswith("All runs come from the same")
    assert "executed in 2 ways: native (1), eager: why (1)" in found.sentences[1]


def test_changes_that_no_commit_holds_are_said(make_run: MakeRun) -> None:
    found = section([run_of(make_run, 0, dirty=True), run_of(make_run, 1, dirty=True)])
    assert found.sentences[1].startswith("2 runs came from a working tree with uncommitted changes")


def test_days_and_times_of_all_runs_are_told(make_run: MakeRun) -> None:
    days = ("2026-01-01T10:20:30+00:00", "2026-01-02T11:20:30+00:00")
    runs = [run_of(make_run, i, started=day, total_s=100.0) for i, day in enumerate(days)]
    assert section(runs).sentences[-1] == (
        "2 runs, started 2026-01-01 10:20 to 2026-01-02 11:20 UTC, took 0:03:20 in all, 1 s of it "
        "in updates; runs that trained together share their time."
    )


def test_old_records_without_versions_are_not_said_to_be_alike(make_run: MakeRun) -> None:
    found = section([make_run({"seed": 0}, val={"loss": 1.0})])
    assert found.sentences[0] == "No run has a record of the versions that computed it."
