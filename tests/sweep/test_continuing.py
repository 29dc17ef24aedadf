"""``optlab train --resume DIR``: the same run, in its folder."""

import pytest

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.running import TINY, curve


@pytest.fixture
def stopped(train):
    """A run's folder as its process left it when it was killed, and what it should have led to."""
    whole = train("whole", "seed=3")
    folder = train("stopped", "seed=3").rename(whole.parent / "stop ped,seed=3")
    for path in folder.iterdir():
        if path.name not in ("config.yaml", ".lock"):
            path.unlink()
    return folder, whole


def test_the_run_ends_in_its_folder_as_if_it_had_never_stopped(stopped):
    folder, whole = stopped
    assert main(["train", "--resume", str(folder)]) == 0
    assert read_result(folder).config_hash == read_result(whole).config_hash
    assert curve(folder) == curve(whole)


def test_words_that_leave_the_run_what_it_is_are_taken(stopped):
    folder, whole = stopped
    words = ["logger.tensorboard=false", "device=cpu", "optimizer.lr=0.001"]
    assert main(["train", "--resume", str(folder), *words]) == 0
    assert curve(folder) == curve(whole)
    assert not list(folder.glob("events.*"))


def test_words_that_make_another_run_are_refused(stopped, capsys):
    folder, _ = stopped
    before = (folder / "config.yaml").read_bytes()
    assert main(["train", "--resume", str(folder), "optimizer.lr=0.5"]) == 2
    assert "these words make another run than the one in" in capsys.readouterr().err
    assert (folder / "config.yaml").read_bytes() == before
    assert not (folder / "result.json").exists()


def test_a_finished_run_is_left_as_it_is(train, capsys):
    folder = train("run")
    before = (folder / "result.json").read_bytes()
    assert main(["train", "--resume", str(folder)]) == 0
    assert "already done, skipped" in capsys.readouterr().err
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the run's folder, got nothing: optlab train --resume DIR"),
        (["nowhere"], "give the run's folder, got 'nowhere', which is none"),
        (["."], "there is no run in . to resume: it has no config.yaml"),
        (["out"], "out holds a sweep, which goes on with: optlab sweep --resume out"),
        (["out/seed=0"], "is a sweep's, which goes on with: optlab sweep --resume"),
        ([".", "-m"], "leave out -m, or use optlab sweep --resume"),
    ],
)
def test_what_is_no_run_of_its_own_is_refused(folder, capsys, words, message):
    if words and words[0].startswith("out"):
        assert main(["sweep", *TINY, "seed=0,1", "sweep.dir=out"]) == 0
        capsys.readouterr()
    assert main(["train", "--resume", *words]) == 2
    assert message in capsys.readouterr().err
