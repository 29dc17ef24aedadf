"""What `optlab report` is asked for."""

import webbrowser

import pytest

from optlab.cli import main
from optlab.config import ConfigError
from optlab.reporting import asked, source_of

TINY = ["task=xor", "model.hidden=[4]", "trainer.epochs=2", "logger.console=false"]


@pytest.fixture
def sweeps(tmp_path):
    for name, seeds in (("one", "0,1"), ("two", "2")):
        line = ["optimizer=adam,nag", f"seed={seeds}", f"sweep.dir={tmp_path / name}"]
        assert main(["sweep", *TINY, *line]) == 0
    return tmp_path / "one", tmp_path / "two"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the folder"),
        (["nowhere"], "no folder 'nowhere'"),
        ([".", "--nothing"], "unrecognized arguments: --nothing"),
        ([".", "."], "--to FOLDER"),
        ([".", "--to"], "expected one argument"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(words, said):
    with pytest.raises(ConfigError, match=said):
        asked(words)


def test_a_report_of_one_folder_goes_into_it_unless_another_is_named(tmp_path):
    assert asked([str(tmp_path)]).to == tmp_path
    assert asked([str(tmp_path), "--to", "elsewhere"]).to.name == "elsewhere"


def test_several_sweeps_make_one_report_where_it_was_asked_for(sweeps, tmp_path, capsys):
    before = {folder: sorted(folder.rglob("*")) for folder in sweeps}
    assert main(["report", *map(str, sweeps), "--to", str(tmp_path / "both")]) == 0
    assert "6 runs in 2 cells" in capsys.readouterr().out
    assert (tmp_path / "both" / "report.html").exists()
    assert {folder: sorted(folder.rglob("*")) for folder in sweeps} == before


def test_text_alone_is_the_same_ranking_and_leaves_no_file(sweeps, capsys):
    folder = sweeps[0]
    for path in (folder / "report.html", folder / "report.csv"):
        path.unlink()
    before = sorted(folder.rglob("*"))
    assert main(["report", str(folder), "--text"]) == 0
    text = capsys.readouterr().out
    assert sorted(folder.rglob("*")) == before
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(text)


def test_a_browser_is_shown_the_page(sweeps, monkeypatch):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    assert main(["report", str(sweeps[0]), "--open"]) == 0
    assert shown == [(sweeps[0] / "report.html").as_uri()]


def test_ledgers_tell_what_was_typed_and_what_is_missing(sweeps):
    source = source_of(sweeps)
    assert [sweep.folder for sweep in source.sweeps] == list(sweeps)
    assert "optimizer=adam,nag" in source.sweeps[0].lines[0]
    assert [sweep.missing for sweep in source.sweeps] == [(), ()]
