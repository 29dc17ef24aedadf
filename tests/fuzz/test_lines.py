"""Whatever is typed ends in a configuration or in one sentence, never in another error."""

import pytest
from hypothesis import strategies as st

from optlab.cli import main
from optlab.sweep.command import multiruns
from optlab.sweep.explain import USER_ERRORS, explain
from optlab.sweep.hydra_app import split
from optlab.sweep.refusal import SweepRefused
from optlab.sweep.words import (
    constant_keys,
    free_foreign_options,
    grid,
    left_to_jobs,
    parse,
    refuse_mistakes,
)
from tests.fuzz.lines import REAL, words

SMALL = ["task=xor", "model.hidden=[3]", "trainer.epochs=1", "logger=none"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def answer(arguments: list[str], capfd) -> None:
    """Let the command line answer: with 0, or with 2 and one sentence for every mistake."""
    code = main(arguments)
    err = capfd.readouterr().err
    assert code in (0, 2)
    assert "Traceback" not in err
    assert bool(err.strip()) >= (code == 2)


def test_any_words_are_read_or_refused_before_anything_is_composed(every, folder):
    @every(quick=300, long=20_000, line=words(), is_sweep=st.booleans())
    def check(line, is_sweep):
        refusal: BaseException | None = None
        try:
            (arguments,) = multiruns(line) if is_sweep else [line]
            flags, typed = split(arguments)
            overrides = parse(free_foreign_options(typed))
            refuse_mistakes(overrides, is_sweep)
            grid(flags, overrides)
            constant_keys(overrides)
            left_to_jobs(overrides)
        except (*USER_ERRORS, SweepRefused) as error:
            refusal = error
        assert refusal is None or explain(refusal).strip()


def test_any_line_of_train_ends_in_a_configuration_or_a_sentence(every, folder, capfd):
    @every(quick=60, long=1_500, line=words())
    def check(line):
        answer(["train", *SMALL, *line, "--cfg", "job"], capfd)


def test_any_line_of_sweep_ends_in_a_plan_or_a_sentence(every, folder, capfd):
    @every(quick=25, long=500, line=words())
    def check(line):
        answer(["sweep", *SMALL, *line, "--plan"], capfd)


@pytest.mark.parametrize("word", REAL)
def test_the_real_words_are_words(word):
    assert parse([word.strip("'")])
