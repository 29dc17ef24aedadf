"""Lines that follow a protocol: what they say, and what is not theirs to say."""

from pathlib import Path

import pytest

from optlab.config import ConfigError
from optlab.protocol.line import differences, read_line

LINE = ["protocol=quick", "optimizer=adam,nag", "task=digits"]


def test_a_line_is_read():
    line = read_line([*LINE, "sweep.dir=out", "--plan"])
    assert (line.protocol, line.folder, line.flags) == ("quick", Path("out"), ("--plan",))
    assert line.words == ("optimizer=adam,nag", "task=digits")
    assert line.typed == ("protocol=quick", "optimizer=adam,nag", "task=digits")


@pytest.mark.parametrize("word", ["sweep.dir='a, (b)=c'", "hydra.sweep.dir='a, (b)=c'"])
def test_a_folder_may_have_any_name(word):
    line = read_line([*LINE, word])
    assert line.folder == Path("a, (b)=c")
    again = read_line([LINE[0], *line.into(line.folder / "tune")])
    assert again.folder == line.folder / "tune"


def test_without_a_folder_there_is_a_new_one():
    assert read_line(LINE).folder.parent == Path("runs")


def test_folders_of_configuration_files_are_known():
    words = ["--config-dir", "mine", *LINE, "--config-dir=yours"]
    assert read_line(words).config_folders == [Path("mine"), Path("yours")]


def test_lines_are_the_same_whatever_changes_no_result():
    one = read_line(LINE)
    other = read_line([LINE[0], LINE[2], LINE[1], "sweep.workers=2", "device=cpu", "logger=none"])
    assert one.held == other.held
    longer = read_line([*LINE, "trainer.epochs=3"])
    assert differences(one.held, longer.held) == "no trainer.epochs there, trainer.epochs=3 here"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=0,1", "fixes seeds"),
        ("schedule=cosine", "fixes schedules"),
        ("schedule.warmup=0.1", "fixes schedules"),
        ("search=random", "fixes the search"),
        ("sweep.trials=3", "fixes the number of trials"),
        ("hydra/launcher=basic", "fixes how runs are trained"),
        ("model.hidden=interval(1,2)", "fixes what is searched"),
        ("--extend", "nothing is added with --extend"),
        ("sweep.dir=a,b", "one folder"),
        ("sweep.dir=${task.name}", "one folder"),
    ],
)
def test_what_a_protocol_fixes_cannot_be_given(word, message):
    with pytest.raises(ConfigError, match=message):
        read_line([*LINE, word])
