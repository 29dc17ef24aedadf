"""Which lines of ``optlab sweep`` are about a protocol, what they plan, and how far they are."""

import pytest

from optlab.cli import main
from optlab.protocol.command import concerns_protocol
from optlab.reporting import asked, write_report
from tests.protocol.following import LINE, OWN_FILE, own_protocol, sweep


def test_lines_without_a_protocol_are_left_alone(folder):
    (folder / "other").mkdir()
    assert concerns_protocol(LINE)
    assert not concerns_protocol(LINE[1:])
    assert not concerns_protocol(["--resume", "other"])
    assert not concerns_protocol([*LINE[1:-1], "sweep.dir=other"])


def test_a_plan_tells_all_stages_and_writes_nothing(folder, capsys):
    assert sweep(*LINE, "--plan") == 0
    out = capsys.readouterr().out
    assert "tune: 8 runs: 2 searches, up to 4 trials each, on 1 seed" in out
    assert "rerun: 4 runs: 2 winners of 4 trials on 2 seeds; which they are is known after" in out
    assert "budgets: up to 8 runs: winners of 1 and 2 trials" in out
    assert [path.name for path in folder.iterdir()] == ["own.yaml"]


def test_a_plan_names_what_a_pattern_leaves_out_and_what_is_made_for_the_target(folder, capsys):
    alone = "{baselines: [nag], trials: 3, seeds: [11]}"
    own_protocol(folder, OWN_FILE.replace("{baselines: [nag]}", alone))
    assert sweep(LINE[0], "optimizer=glob([a*,foreign])", *LINE[2:], "--plan") == 0
    out = capsys.readouterr().out
    assert "baselines: nag, 3 trials each and 1 reruns of each winner" in out
    assert "Left out: foreign" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["protocol=quik", *LINE[1:]], "unknown protocol 'quik'; known, nearest first: quick"),
        ([*LINE, "--resume"], "no protocol is followed in out: leave out --resume"),
        ([LINE[0], *LINE[2:]], "the line names none"),
        ([LINE[0], "optimizer=adm", *LINE[2:]], "unknown optimizer 'adm'"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(folder, capsys, line, message):
    assert sweep(*line) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["own.yaml"]


def test_one_run_follows_no_protocol(folder, capsys):
    assert main(["train", "protocol=quick"]) == 2
    assert "protocol is what optlab sweep follows" in capsys.readouterr().err


def test_how_far_it_is_is_told_by_stage_and_any_stage_goes_on_with_the_whole(
    folder, capsys, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("optlab.protocol.follow.winners", lambda *_: stop())
        assert sweep(*LINE) == 130
    assert sweep("--status", "out") == 0
    out = capsys.readouterr().out
    assert "8 runs in out/tune: 8 done" in out
    assert "winners: chosen when every trial of tune has ended" in out
    write_report(asked(["out"]), None, pictures=False)  # of trials, which it says
    assert "It is not finished" in (folder / "out" / "report.html").read_text()
    assert sweep("--resume", "out/tune", "--quiet") == 0
    capsys.readouterr()
    assert sweep("--status", "out") == 0
    out = capsys.readouterr().out
    assert "4 runs in out/rerun: 4 done" in out
    assert "target of xor: accuracy" in out


def stop():
    raise KeyboardInterrupt
