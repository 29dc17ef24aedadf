"""`optlab show` and the README's table of optimizers: made of docstrings, and up to date."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry
from optlab.catalog import choices, configured, entry, groups
from optlab.cli import main
from optlab.manual import BEGIN, ELSEWHERE, END, WIDTH, equal, page, renewed, state_size, table
from optlab.optim import SGD, SOAP, Adafactor, Adam, Lion, Momentum, Muon
from tests.docs.blocks import ROOT

README = (ROOT / "README.md").read_text()
OWN = {
    name: make
    for name, make in registry.optimizers.items()
    if make.__module__.startswith("optlab.")
}


def test_the_readme_holds_the_generated_table() -> None:
    # To mend it: python -m optlab.manual README.md
    assert README.partition(BEGIN)[2].partition(END)[0].strip() == table()


def test_a_table_is_renewed_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    subprocess.run([sys.executable, "-m", "optlab.manual", str(path)], check=True)
    assert path.read_text() == f"before\n{BEGIN}\n{table()}\n{END}\nafter\n"
    assert renewed(path.read_text()) == path.read_text()


@pytest.mark.parametrize("name", OWN)
def test_every_optimizer_has_a_row_with_its_defaults(name: str) -> None:
    (row,) = (line for line in table().splitlines() if f"`{name}`" in line.split("|")[1])
    for field in dataclasses.fields(OWN[name].rule.hyper):
        assert f"`{field.name}=" in row


@pytest.mark.parametrize("name", OWN)
def test_a_page_has_the_equations_the_source_and_every_option(name: str) -> None:
    text = page("optimizer", name)
    assert re.search(r"^    \w+ = ", text, re.MULTILINE)
    for part in ("\nSymbols: ", "\nState: ", "\nSource: ", "\nDiffers from "):
        assert part in text
    for field in dataclasses.fields(OWN[name].rule.hyper):
        line = text.index(f"\n  {field.name}=")
        meaning = text[line:].splitlines()[2]
        assert meaning.startswith("      ")
        assert meaning.strip()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (SGD, "0"),
        (Adam, "2"),
        # A vector of n numbers keeps one average, a matrix n x n two of n: 2 / n at n = 128.
        (Adafactor, "1 (vector), 0.0156 (128 x 128)"),
        # Two averages; on a matrix two grams and two bases of its size beside them.
        (SOAP, "2 (vector), 6 (128 x 128)"),
    ],
)
def test_the_state_is_measured_in_multiples_of_the_parameter(make: type, expected: str) -> None:
    assert state_size(make.rule) == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Adam, "`torch.optim.Adam`"),
        (Momentum, "`torch.optim.SGD` at `lr_in_buffer=false`"),
        (Lion, "the paper authors' and pytorch_optimizer's"),
        (Muon, 'on matrices `torch.optim.Muon` with `ns_dtype="bfloat16"`'),
        (SOAP, "the authors' code (nikhilvyas/SOAP)"),
    ],
)
def test_the_same_method_elsewhere_is_named(make: type, expected: str) -> None:
    assert equal(make) == expected


def test_a_preset_is_shown_with_its_values_and_its_entrys_page() -> None:
    shown = page("optimizers", "batch_gd")
    assert shown.startswith("batch_gd  ")
    assert "trainer.batch_size=full" in shown
    assert page("optimizer", "amsgrad").count("Kingma and Ba (2015), Algorithm 1") == 1


@pytest.mark.parametrize("group", [group.group for group in registry.GROUPS])
def test_every_choice_of_every_group_has_a_page(group: str) -> None:
    entries = next(each for each in registry.GROUPS if each.group == group)
    for name in choices(group):
        shown = page(group, name)
        assert shown.startswith(name)
        assert configured(group, name) not in entries or "In Python: optlab." in shown


def test_the_options_of_foreign_optimizers_are_explained() -> None:
    assert "``matrices`` and ``others``" in page("optimizer", "foreign")


@pytest.mark.parametrize(
    ("name", "equation", "option"),
    [
        ("cautious", "w = w - mask * u * n", "  cautious=true  (true or false)"),
        ("lookahead", "s = s + alpha * (w - s)", "  lookahead_steps=5  (an integer in [0, inf))"),
        ("ema", "a = b * a + (1 - b) * w", "  ema=0.99  (a number in [0, 1) or null)"),
    ],
)
def test_a_transform_has_its_equations_source_and_options(
    name: str, equation: str, option: str
) -> None:
    shown = page("transform", name)
    assert re.search(rf"^    {re.escape(equation)}", shown, re.MULTILINE)
    assert "\nSource: " in shown
    assert option in shown.partition("\nOptions:\n")[2].splitlines()
    assert "In Python: optlab.optim.transforms." in shown


def test_every_transform_has_a_page_of_its_own() -> None:
    documented = {name for group, name in ELSEWHERE if group == "transform"}
    assert documented == set(choices("transform")) - {"none"}


def explained(group: str, name: str) -> dict[str, tuple[str, str]]:
    """Return what a page's table says of each option: the line of the value, and the others."""
    shown = page(group, name).partition("\nOptions:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {2}([\w.]+)=(.*)((?:\n {6}.*)*)", shown, re.MULTILINE)
    return {key: (value, " ".join(words.split())) for key, value, words in found}


@pytest.mark.parametrize("group", groups())
def test_every_option_of_every_choice_has_its_value_what_is_allowed_and_a_meaning(
    group: str,
) -> None:
    for name in choices(group):
        table = explained(group, name)
        options = entry(group, name).options
        assert table.keys() == options.keys(), name
        for key, (line, meaning) in table.items():
            takes_anything = key in groups() or name == "foreign"
            assert line.startswith(options[key]), (name, key)
            assert takes_anything or re.fullmatch(r"\S+  \(.+\)", line), (name, key)
            assert re.match(r"\w|[(^]", meaning), (name, key)


def test_a_page_says_what_a_sweep_varies_by_itself() -> None:
    shown = page("task", "saddle").partition("unless its line says otherwise:\n")[2]
    assert shown.splitlines()[:2] == [
        "  model.start=[1.0,1.0e-6],[-0.8,1.0e-3],[0.5,-0.1]",
        "  optimizer.lr=1e-4,1e-3,1e-2,1e-1",
    ]
    assert "unless its line" not in page("task", "digits")


def test_the_meaning_of_an_option_is_the_comment_of_its_file() -> None:
    table = explained("model", "lstm")
    assert table["layers"] == ("1  (an integer in [1, 10000])", "number of layers")
    # Beside the key, then above it.
    assert re.match("bias of the forget gate .*, any number. A forget", table["forget_bias"][1])


def test_an_option_of_another_group_without_a_comment_is_explained_as_there() -> None:
    table = explained("experiment", "xor")
    assert table["task"] == ("xor", entry("task", "xor").summary)
    own = entry("trainer", "default").meanings
    assert table["trainer.batch_size"][1] == own["batch_size"]
    assert table["loss.head"][1] == entry("loss", "mse").meanings["head"]
    assert table["model.hidden"][0] == "[2]  (a list of an integer in [1, 1048576])"


def test_no_page_explains_an_option_twice() -> None:
    for group in groups():
        for name in choices(group):
            prose = page(group, name).partition("\nOptions:\n")[0]
            for option in entry(group, name).options:
                assert not re.search(rf"^ {{4}}{option}: ", prose, re.MULTILINE), (group, name)


def test_what_is_no_option_stays_explained() -> None:
    assert "\nAttributes:\n    function: (B, D) -> (B,)" in page("loss", "objective")


def test_the_rest_of_the_first_comment_is_shown() -> None:
    assert "\n\n  optlab sweep experiment=xor 'seed=range(0,20)'\n" in page("experiment", "xor")
    assert "\n\nA row has no time axis: run it with model=rnn" in page("task", "attractor")


@pytest.mark.parametrize("group", groups())
def test_no_line_of_a_page_is_wider_than_100_columns(group: str) -> None:
    for name in choices(group):
        wide = [line for line in page(group, name).splitlines() if len(line) > WIDTH]
        assert not wide, name


PLUGIN = '''"""My rule.

    w = w - lr * g

Source: nobody.
"""

from dataclasses import dataclass

from optlab.optim.kit import Hyper, NonNegative, Rule, RuleOptimizer, optimizers


@dataclass(frozen=True)
class Mine(Hyper):
    """Hyperparameters.

    Attributes:
        lr: Step.
    """

    lr: NonNegative = 0.25


def update(grad, param, state, hyper):
    return param - hyper.lr * grad, {}


@optimizers.register("my_shown")
class Shown(RuleOptimizer):
    """Shown and listed."""

    rule = Rule(Mine, lambda param, hyper: {}, update)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "my_shown_plugin.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "plugins=[my_shown_plugin]"
    sys.modules.pop("my_shown_plugin", None)
    registry.optimizers._entries.pop("my_shown", None)


def test_a_plugins_choice_is_shown_like_others(
    plugin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["optimizer", "my_shown", plugin], [plugin, "optimizers", "my_shown"]):
        assert main(["show", *words]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("my_shown  Shown and listed.\n\nMy rule.\n")
        assert "\n    w = w - lr * g\n" in shown
        assert "\n  lr=0.25  (a number in [0, inf))\n      Step.\n" in shown


def test_a_plugins_choice_is_listed_among_the_others(
    plugin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", plugin, "optimizers"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    place = lines.index(["my_shown", "Shown", "and", "listed."])
    assert lines[place + 1] == ["lr=0.25"]
    names = [line[0] for line in lines[1:] if not line[0].count("=")]
    assert names == sorted(names)


def test_the_command_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "optimizer", "adam"]) == 0
    assert capsys.readouterr().out == page("optimizer", "adam") + "\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "optlab show optimizer adam"),
        (["adam"], "give a group and a name"),
        (["optimizer", "adam", "plugins=x"], "plugins must be a list such as [my_module], got 'x'"),
        (["optimizer", "adam", "plugins=[no_such]"], "cannot import plugin 'no_such': No module"),
        (["optimisers", "adam"], "unknown group 'optimisers'; known, nearest first: optimizers"),
        (["optimizer", "adm"], "unknown optimizer 'adm'; known, nearest first: adam"),
    ],
)
def test_a_mistake_gets_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *words]) == 2
    assert message in capsys.readouterr().err
