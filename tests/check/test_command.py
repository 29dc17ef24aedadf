"""`optlab check`: what it finds to check, what it prints, and how it ends."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from optlab import registry
from optlab.check import PROMISES, select
from optlab.cli import main

RULE = '''
from dataclasses import dataclass

from optlab.optim.kit import Hyper, NonNegative, Rule, RuleOptimizer, optimizers


@dataclass(frozen=True)
class Mine(Hyper):
    """Hyperparameters.

    Attributes:
        lr: Step.
    """

    lr: NonNegative = 1e-2


def init_state(param, hyper):
    return {}


def update(grad, param, state, hyper):
    return param - hyper.lr * grad, {}


def spoil(grad, param, state, hyper):
    grad.mul_(2)
    if grad.sum() > 0:
        return param - hyper.lr * grad, {}
    return param - hyper.lr * grad, {}


@optimizers.register("my_sound")
class Sound(RuleOptimizer):
    """Sound."""

    rule = Rule(Mine, init_state, update)


@optimizers.register("my_faulty")
class Faulty(RuleOptimizer):
    """Faulty."""

    rule = Rule(Mine, init_state, spoil)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with a module of two optimizers, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = dict(registry.optimizers._entries)
    modules = set(sys.modules)
    (tmp_path / "my_two_rules.py").write_text(RULE)
    yield tmp_path
    registry.optimizers._entries = known
    for name in set(sys.modules) - modules:
        if name.startswith("my_"):
            del sys.modules[name]


def names(module: str, name: str | None = None) -> list[str]:
    return [found for found, _ in select(module, name)]


def test_a_module_means_all_that_it_registers(folder: Path) -> None:
    assert names("my_two_rules") == ["my_faulty", "my_sound"]
    assert names("my_two_rules") == ["my_faulty", "my_sound"]  # imported before


def test_a_file_means_its_module(folder: Path) -> None:
    assert names("./my_two_rules.py") == ["my_faulty", "my_sound"]


def test_a_second_word_means_one_of_them(folder: Path) -> None:
    assert names("my_two_rules", "my_sound") == ["my_sound"]


def test_a_registered_name_means_itself() -> None:
    assert names("adam") == ["adam"]


def test_a_package_means_what_its_modules_register() -> None:
    assert names("optlab.optim.rules.sgd") == ["batch_gd", "minibatch_gd", "sgd"]


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ("", ["adma"], "unknown optimizer or module 'adma'; known, nearest first: adam"),
        ("", ["my_own"], "my_own registers no optimizer; put @optimizers.register"),
        ("import no_such", ["my_own"], "cannot import plugin 'my_own': No module named 'no_such'"),
        ("x = y", ["my_own"], "NameError: name 'y' is not defined (my_own.py, line 1)"),
        ("def f(:", ["my_own"], "invalid syntax (my_own.py, line 1)"),
        (RULE, ["my_own", "my_sund"], "unknown optimizer of my_own 'my_sund'; known, nearest"),
        (RULE.replace("my_sound", "adam"), ["my_own"], "optimizer 'adam' is already registered"),
        (
            "import torch\nfrom optlab.registry import optimizers\n"
            "optimizers.register('my_torch')(torch.optim.SGD)",
            ["my_own"],
            "optimizer 'my_torch' is not a subclass of RuleOptimizer",
        ),
        (
            RULE.replace("@dataclass(frozen=True)", ""),
            ["my_own"],
            "class Mine of my_own has the fields lr but is no dataclass: write @dataclass(frozen",
        ),
        (
            RULE.replace("(frozen=True)", ""),
            ["my_own"],
            "(my_own.py, line 7); write @dataclass(frozen=True) above the class",
        ),
        ("", [], "give a module or an optimizer: optlab check my_rule"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    words: list[str],
    message: str,
) -> None:
    (folder / "my_own.py").write_text(content)
    assert main(["check", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_sound_rule_ends_with_0_and_a_line_for_every_promise(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "my_two_rules", "my_sound"]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == "my_sound: my_two_rules.Sound"
    assert [line.partition(" (")[0] for line in lines] == [f"  passed  {p.name}" for p in PROMISES]
    assert last == f"{len(PROMISES)} passed, 0 failed"


def test_a_faulty_rule_ends_with_1_and_says_what_where_and_how_to_mend(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "my_two_rules"]) == 1
    shown = capsys.readouterr().out
    faulty = shown.partition("my_sound: ")[0]
    pure = faulty.partition("FAILED  update leaves its arguments as they are\n")[2]
    expected, found, mend = (line.split(maxsplit=1) for line in pure.splitlines()[:3])
    assert expected == ["expected", "the same values after the call"]
    assert found == ["found", "grad changed"]
    assert mend[0] == "mend"
    values = faulty.partition("FAILED  update asks no tensor for its value\n")[2]
    line = RULE.splitlines().index("    if grad.sum() > 0:") + 1
    assert f"(my_two_rules.py, line {line}: if grad.sum() > 0:)" in " ".join(values.split())
    assert "  FAILED  " not in shown.partition("my_sound: ")[2]


def test_a_failure_in_some_forms_names_the_form(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = RULE.replace(
        "    lr: NonNegative = 1e-2\n", "    lr: NonNegative = 1e-2\n    up: bool = False\n"
    )
    both = both.replace("        lr: Step.\n", "        lr: Step.\n        up: Climb.\n")
    both = both.replace(
        "return param - hyper.lr * grad, {}",
        "return param - (-1) ** hyper.up * hyper.lr * grad, {}",
        1,
    )
    (folder / "my_own.py").write_text(both.replace("my_", "my_own_"))
    assert main(["check", "my_own", "my_own_sound"]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("my_own_sound: my_own.Sound, in 2 forms\n")
    assert "with up=True" in shown
    assert shown.endswith(f"{len(PROMISES) - 1} passed, 1 failed\n")
