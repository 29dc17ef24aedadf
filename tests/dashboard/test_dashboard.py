import os
from pathlib import Path

import pytest

from optlab.dashboard import keep_current, refresh
from optlab.dashboard.dashboard import CELLS, OWN_FILE
from optlab.records import survey
from tests.dashboard.conftest import event_files
from tests.report.conftest import MakeRun


def a_run(make_run: MakeRun, folder: str, lr: float, seed: int = 0) -> None:
    config = {"optimizer": {"name": "adam", "lr": lr}, "seed": seed}
    make_run(config, val={"loss": lr}, folder=folder)


def top(folder: Path) -> Path:
    (found,) = folder.glob(f"{OWN_FILE}.*")
    return found


def test_dashboards_of_the_same_runs_are_left_alone(make_run: MakeRun, tmp_path: Path) -> None:
    a_run(make_run, "a", 0.1)
    refresh(tmp_path)
    before = top(tmp_path).stat().st_ino
    refresh(tmp_path)
    assert top(tmp_path).stat().st_ino == before


@pytest.mark.parametrize("change", ["added", "removed", "changed"])
def test_dashboards_of_other_runs_are_made_anew(
    make_run: MakeRun, tmp_path: Path, change: str
) -> None:
    a_run(make_run, "a", 0.1)
    a_run(make_run, "b", 0.2)
    refresh(tmp_path)
    before = top(tmp_path).name
    if change == "added":
        a_run(make_run, "c", 0.3)
    elif change == "removed":
        (tmp_path / "b" / "result.json").unlink()
    else:
        os.utime(tmp_path / "b" / "result.json", ns=(0, 0))
    refresh(tmp_path)
    assert top(tmp_path).name != before


def test_of_a_folder_of_sweeps_each_has_its_own(make_run: MakeRun, tmp_path: Path) -> None:
    for sweep in ("first", "second"):
        a_run(make_run, f"{sweep}/a", 0.1)
        (tmp_path / sweep / "ledger.sqlite").touch()
    refresh(tmp_path)
    folders = {str(Path(path).parent) for path in event_files(tmp_path)}
    cell = f"{CELLS}/01 adam"
    assert folders == {"first", f"first/{cell}", "second", f"second/{cell}"}


def test_a_run_has_no_dashboard(make_run: MakeRun, tmp_path: Path) -> None:
    a_run(make_run, "a", 0.1)
    refresh(tmp_path / "a")
    assert event_files(tmp_path) == []


def test_dashboards_are_no_runs(make_run: MakeRun, tmp_path: Path) -> None:
    a_run(make_run, "a", 0.1)
    before = survey(tmp_path)
    refresh(tmp_path)
    assert survey(tmp_path) == before


def test_what_cannot_be_written_is_said(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(make_run, "a", 0.1)
    (tmp_path / CELLS).write_text("no folder")
    keep_current(tmp_path)
    assert "TensorBoard shows no cells of" in capsys.readouterr().err
