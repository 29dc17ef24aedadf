from collections.abc import Callable
from pathlib import Path

from optlab.config import ConfigError
from optlab.records import RunRecord, Survey, survey
from optlab.report import report
from optlab.report.notes import MOST_QUOTED, notes

MakeRun = Callable[..., RunRecord]


def test_of_runs_that_are_all_whole_nothing_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"seed": 0})
    assert notes(tmp_path, survey(tmp_path)) == []


def test_damaged_runs_are_counted_and_quoted_up_to_a_number(tmp_path: Path) -> None:
    damaged = {tmp_path / str(i): ConfigError(f"cannot read {i}") for i in range(MOST_QUOTED + 3)}
    (note,) = notes(tmp_path, Survey([], damaged, [], []))
    lines = note.splitlines()
    assert lines[0] == f"{MOST_QUOTED + 3} runs are damaged and not in the ranking:"
    assert lines[1] == "  cannot read 0"
    assert lines[-1] == "  and 3 more"


def test_a_report_goes_on_without_damaged_and_unfinished_runs_and_says_so(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run({"seed": seed}, val={"loss": 0.5}) for seed in range(4)]
    (runs[1].folder / "result.json").write_text("{")
    (runs[2].folder / "result.json").unlink()
    made = report(tmp_path)
    assert made.text.startswith("2 runs in 1 cell")
    assert "1 run is damaged and not in the ranking:\n  cannot read " in made.text
    assert "1 run that began has no result" in made.text
    assert made.damaged == (runs[1].folder,)
    assert report(runs[0].folder).damaged == ()


def test_it_is_said_that_tensorboard_shows_some_runs_and_where_all_curves_are(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run({"seed": seed}) for seed in range(3)]
    (runs[0].folder / "events.out.tfevents.1").touch()
    (note,) = notes(tmp_path, survey(tmp_path))
    assert note == "TensorBoard shows 1 of 3 runs (sweep.tensorboard_runs)\n"
    (tmp_path / "metrics").mkdir()
    (note,) = notes(tmp_path, survey(tmp_path))
    assert note.endswith(f"; the curves of all are in {tmp_path / 'metrics'}\n")
