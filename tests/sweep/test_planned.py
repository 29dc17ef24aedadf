"""What a file holds is part of a run's identity, whatever it is called."""

import pytest
import yaml

from optlab.cli import main
from optlab.files import digest_of
from optlab.results import read_result
from optlab.sweep.planned import of_the_run

TEXT = "the cat sat on the mat. " * 50
OPTIONS = ["task=characters", "task.path=text", "task.length=8", "task.max_rows=10"]
LINE = [*OPTIONS, "model=rnn", "trainer.epochs=1", "logger=none"]


@pytest.fixture
def text(folder):
    path = folder / "text"
    path.write_text(TEXT)
    return path


def test_a_task_that_reads_a_file_is_known_by_what_it_holds(text):
    task = {"path": str(text), "digest": None}
    assert of_the_run({"task": task})["task"]["digest"] == digest_of(TEXT.encode())
    assert task["digest"] is None
    given = {"path": str(text), "digest": "0123456789ab"}
    others = [given, {"path": None, "digest": None}, {"path": str(text)}, {"lr": 1}]
    assert [of_the_run({"task": other})["task"] for other in others] == others


def test_a_run_is_not_started_again_on_another_text(text, train, capfd):
    first = train("first", *LINE, tiny=())
    saved = yaml.safe_load((first / "config.yaml").read_text())
    assert saved["task"]["digest"] == digest_of(TEXT.encode())
    text.write_text(TEXT[::-1])
    again = ["train", str(first / "config.yaml"), "hydra.run.dir=again"]
    assert main(again) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "the text in 'text' is another one than this run is about" in line
    assert main([*again, "task.digest=null"]) == 0
    assert read_result("again").config_hash != read_result(first).config_hash


def test_a_sweep_is_not_continued_on_another_text(text, capfd):
    line = ["sweep", *LINE, "seed=0,1", "sweep.dir=out"]
    assert main(line) == 0
    text.write_text(TEXT[::-1])
    assert main(line) == 2
    assert "2 of this line's 2 are not among them" in capfd.readouterr().err
    assert main([*line, "--extend"]) == 2
    assert "is the folder of another run of this sweep (task.digest=" in capfd.readouterr().err
