"""What ``optlab sweep`` makes of its own flags and words."""

import os
import shutil
from pathlib import Path

import pytest

from optlab.cli import main
from optlab.config import ConfigError
from optlab.sweep.command import multiruns, steady_products, typed
from optlab.sweep.ledger import Ledger
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import Grid
from tests.sweep.multiruns import planned
from tests.sweep.running import TINY

PARTS = ["hydra/sweeper=optlab", "hydra/launcher=optlab"]


def entered(folder, line):
    """Enter one run that a line stands for into a folder's ledger."""
    run = PlannedRun(0, ("seed=0",), {"seed": 0}, folder / "seed=0")
    with Ledger(folder) as ledger:
        ledger.enter([run], Grid(("seed",), ()), line)


def test_a_sweep_is_a_multirun_with_optlabs_parts():
    assert multiruns(["seed=0,1"]) == [["-m", "seed=0,1", *PARTS]]


def test_parts_of_the_line_stay():
    line = ["seed=0,1", "hydra/launcher=joblib"]
    assert multiruns(line) == [["-m", *line, "hydra/sweeper=optlab"]]


def test_short_words_and_flags_stand_for_longer_ones():
    (line,) = multiruns(["search=random", "--extend", "trials=3", "checkpoint=last"])
    assert line[1:4] == ["sweep.search=random", "sweep.trials=3", "sweep.checkpoint=last"]
    assert line[-1] == "hydra.launcher.extend=true"


def test_what_was_typed_stands_for_the_same_multirun_without_its_flags():
    (line,) = multiruns(["seed=0,1", "search=random", "trials=3", "--resume", "--extend"])
    (again,) = multiruns(typed(line))
    assert set(line) - set(again) == {"hydra.launcher.resume=true", "hydra.launcher.extend=true"}


@pytest.mark.parametrize("name", ["plain", "two words, (and) it's more", "back\\slash", "lr=0.1"])
def test_a_folder_alone_is_resumed_by_the_lines_that_were_typed_for_it(folder, monkeypatch, name):
    entered(Path(name), [*TINY, "seed=0,1", "sweep.dir=elsewhere"])
    _, plan = planned(monkeypatch, "--resume", name)
    runs, where, settings = plan
    assert where == Path(name)
    assert [run.name for run in runs] == ["seed=0", "seed=1"]
    assert settings.resume


def test_a_finished_sweep_has_nothing_to_resume(folder, capsys):
    assert main(["sweep", *TINY, "seed=0,1", "sweep.dir=out"]) == 0
    capsys.readouterr()
    assert main(["sweep", "--resume", "out"]) == 0
    assert capsys.readouterr().err == "nothing of this sweep is missing\n"


def test_a_sweep_that_was_stopped_before_its_report_gets_it(folder, capsys):
    assert main(["sweep", *TINY, "seed=0,1", "sweep.dir=out"]) == 0
    (folder / "out" / "report.html").unlink()
    capsys.readouterr()
    assert main(["sweep", "--resume", "out"]) == 0
    assert "2 runs in 1 cell" in capsys.readouterr().out
    assert (folder / "out" / "report.html").exists()


def test_a_run_folder_that_was_deleted_is_written_again(folder, capsys):
    assert main(["sweep", *TINY, "seed=0,1", "sweep.dir=out"]) == 0
    config = (folder / "out" / "seed=1" / "config.yaml").read_bytes()
    shutil.rmtree(folder / "out" / "seed=1")
    assert main(["sweep", "--resume", "out"]) == 0
    assert "seed=1: written again from the ledger" in capsys.readouterr().err
    assert (folder / "out" / "seed=1" / "config.yaml").read_bytes() == config


def test_a_folder_without_a_sweep_cannot_be_resumed(folder):
    with pytest.raises(ConfigError, match="there is no sweep in 'nowhere' to resume"):
        multiruns(["--resume", "nowhere"])


def test_the_status_of_a_folder_is_printed(folder, capsys):
    entered(Path("out"), ["seed=0"])
    assert main(["sweep", "--status", "out"]) == 0
    assert "1 run" in capsys.readouterr().out


@pytest.mark.parametrize(("word", "is_set"), [("sweep.engine=eager", True), ("seed=1", False)])
def test_products_of_the_vmapped_engine_do_not_depend_on_the_number_of_runs(
    monkeypatch, word, is_set
):
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    steady_products([word])
    assert os.environ["MKL_CBWR"] == "AUTO"  # who has chosen, has chosen
    monkeypatch.delenv("MKL_CBWR")
    steady_products([word])
    assert ("MKL_CBWR" in os.environ) is is_set
