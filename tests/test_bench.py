"""`optlab bench`: its table, and what it says where nothing can be compiled."""

import re

import pytest

import optlab.bench
from optlab.bench import PEER, sweep_lines
from optlab.cli import main
from optlab.compiler import NoCompiler


def test_every_line_of_the_table_is_a_rate_and_its_ratio_to_the_first() -> None:
    # Times themselves are not asserted.
    title, *rows = sweep_lines(counts=(1, 2), rounds=1)
    assert title.startswith("updates per second")
    form = re.compile(r"  (\S.*\S) +([\d,]+) +([\d.]+)x")
    found = [form.fullmatch(row) for row in rows]
    names = [match[1] for match in found if match]
    assert names == [
        PEER,
        "optlab, 1 run, one core",
        "optlab, 2 runs, one core",
        "optlab, 2 runs, all cores",
    ]
    rates = [(float(m[2].replace(",", "")), float(m[3])) for m in found if m]
    for rate, ratio in rates:
        assert ratio == pytest.approx(rate / rates[0][0], abs=0.06)  # of rounded numbers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give what to measure: optlab bench sweep"),
        (["sweep", "counts=1"], "give what to measure: optlab bench sweep"),
        (["swep"], "unknown benchmark 'swep'; known, nearest first: sweep"),
    ],
)
def test_other_words_are_refused(words: list[str], message: str, capsys) -> None:
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


def test_no_compiler_is_one_sentence(monkeypatch, capsys) -> None:
    def refuse(parts, threads):
        raise NoCompiler("no C compiler on PATH (CC, cc, gcc, clang)")

    monkeypatch.setattr(optlab.bench, "Native", refuse)
    assert main(["bench", "sweep"]) == 2
    err = capsys.readouterr().err
    assert "no C compiler on PATH" in err
    assert len(err.splitlines()) == 1
