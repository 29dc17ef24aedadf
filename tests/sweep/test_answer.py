"""What goes to standard output and what to standard error, and ``--quiet`` and ``--json``."""

import json
import os
import subprocess
import sys

import pytest

from optlab.cli import main
from tests.loggers.conftest import full_disk
from tests.sweep.running import TINY

__all__ = ["full_disk"]

SHOWN = [word for word in TINY if not word.startswith("logger")]
GRID = [*SHOWN, "optimizer.lr=0.1,0.2", "sweep.dir=out"]
FAILING = [*SHOWN, "optimizer.lr=0.1,-1", "sweep.dir=out"]


def test_a_run_tells_its_result_on_stdout_and_its_progress_on_stderr(folder, capsys):
    assert main(["train", *SHOWN, "hydra.run.dir=run"]) == 0
    out, err = capsys.readouterr()
    first, *_, last = out.splitlines()
    assert first.startswith("run: done after 3 updates")
    assert last.startswith("results, curves and configuration: ")
    assert "update 3/3" in err
    assert "done" not in err


def test_a_sweep_tells_its_ranking_on_stdout_and_its_plan_on_stderr(folder, capsys):
    assert main(["sweep", *GRID]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2 runs in 2 cells")
    assert out.endswith("2 runs in out: 2 done\n")
    assert err.startswith("2 runs, 1 stacked program\n")
    assert "sweep: 2 of 2 runs (2 done)" in err


def test_a_plan_that_was_asked_for_is_a_result(folder, capsys):
    assert main(["sweep", *GRID, "--plan"]) == 0
    assert capsys.readouterr().out.startswith("2 runs, 1 stacked program\n")


@pytest.mark.parametrize("line", [["sweep", *GRID], ["train", *SHOWN]])
def test_quiet_leaves_results_alone(folder, capsys, line):
    assert main([*line, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "done" in out
    assert err == ""
    assert "OPTLAB_QUIET" not in os.environ


def test_quiet_hides_no_failure(folder, capsys):
    assert main(["train", "-m", *FAILING, "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert "2 runs in out: 1 done, 1 failed" in out
    assert "failed: lr=-1: lr must be in [0, inf)" in err


def test_json_of_a_run_is_its_result_and_folder(folder, capsys):
    assert main(["train", *SHOWN, "hydra.run.dir=run", "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told == {
        "folder": str(folder / "run"),
        **json.loads((folder / "run" / "result.json").read_text()),
    }
    assert "run: done after 3 updates" in err
    assert main(["train", *SHOWN, "hydra.run.dir=run", "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == (told, "")  # it was done already


def test_json_of_a_sweep_counts_its_runs_and_ranks_its_cells(folder, capsys):
    assert main(["sweep", *GRID, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == "out"
    assert told["runs"] == {"done": 2}
    assert [cell["rank"] for cell in told["ranking"]] == [1, 2]
    assert {cell["key"]["optimizer.lr"] for cell in told["ranking"]} == {0.1, 0.2}
    assert {"few_seeds"} <= {each["name"] for each in told["objections"]}
    assert main(["report", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert main(["sweep", "--resume", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_json_of_a_report_without_files_has_the_ranking_of_the_runs_as_they_are(folder, capsys):
    assert main(["sweep", *GRID, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (folder / "out" / "report.csv").unlink()
    assert main(["report", "out", "--text", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_json_of_a_multirun_names_failed_runs_with_their_causes(folder, capsys):
    assert main(["train", "-m", *FAILING, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["runs"] == {"done": 1, "failed": 1}
    (failed,) = told["failed"]
    assert (failed["run"], failed["status"]) == ("lr=-1", "failed")
    assert failed["cause"] == "lr must be in [0, inf), got -1.0 (optimizer.lr)"


def test_a_run_that_fails_is_told_of_before_its_error(folder, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such thing")

    monkeypatch.setattr("optlab.build.parts_of", broken)
    with pytest.raises(RuntimeError, match="no such thing"):
        main(["train", *SHOWN, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "failed"
    assert told["cause"].startswith("RuntimeError: no such thing")


@pytest.mark.parametrize(
    "words",
    [["train", "optimizer=adm"], ["sweep", *GRID, "--plan"], ["sweep", "--status", "."]],
)
def test_after_a_mistake_there_is_no_object(folder, capsys, words):
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("optlab ")


def run(folder, line):
    """Run a line of a shell; return what is left of it."""
    script = f"set -o pipefail; alias optlab='{sys.executable} -m optlab'\n{line}"
    command = ["bash", "-O", "expand_aliases", "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_what_others_write_to_stdout_is_not_in_the_object(folder):
    (folder / "talking.py").write_text(
        "import os\nprint('hello')\nos.write(1, b'from C\\n')\nos.system('echo from a program')\n"
    )
    words = " ".join([*SHOWN, "'plugins=[talking]'"])
    done = run(folder, f"optlab train {words} --json")
    assert json.loads(done.stdout)["status"] == "done"
    for words in ("hello", "from C", "from a program"):
        assert words in done.stderr


@pytest.mark.parametrize("reader", ["2>&1 | head -n 1", "| head -n 0"])
def test_a_sweep_whose_reader_goes_away_is_trained_to_its_end(folder, reader):
    words = " ".join([*SHOWN, "optimizer.lr=0.1,0.2", "sweep.dir=out"])
    done = run(folder, f"PYTHONUNBUFFERED=1 optlab sweep {words} {reader}")
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("out/*/result.json"))) == 2
    assert (folder / "out" / "report.csv").exists()


def test_a_report_that_finds_no_room_takes_neither_ranking_nor_dashboards_along(
    folder, capsys, full_disk
):
    with full_disk(2_000_000):  # bytes of a file: the page has five million
        assert main(["sweep", *GRID]) == 1
    out, err = capsys.readouterr()
    assert "the runs are kept, but not their report: File too large (out/report.html)" in err
    assert "val accuracy" in out
    assert "2 done" in out.splitlines()[-1]
    assert list((folder / "out").glob("*.dashboard.*"))
    assert main(["sweep", *GRID]) == 0
    assert (folder / "out" / "report.html").exists()
