"""`optlab show` and the README's table of optimizers: made of docstrings, and up to date."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry
from optlab.catalog import choices, configured
from optlab.cli import main
from optlab.manual import BEGIN, END, equal, page, renewed, state_size, table
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


def test_the_command_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "optimizer", "adam"]) == 0
    assert capsys.readouterr().out == page("optimizer", "adam") + "\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "optlab show optimizer adam"),
        (["adam"], "give a group and a name"),
        (["optimisers", "adam"], "unknown group 'optimisers'; known, nearest first: optimizers"),
        (["optimizer", "adm"], "unknown optimizer 'adm'; known, nearest first: adam"),
    ],
)
def test_a_mistake_gets_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *words]) == 2
    assert message in capsys.readouterr().err
