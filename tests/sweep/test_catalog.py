"""``optlab list`` against the configuration tree, the registries and Hydra's own composition."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry
from optlab.catalog import OF_SWEEPS, Choice, catalog, choices, entry, groups, plural
from optlab.cli import main
from optlab.config import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
FOLDERS = sorted(folder.name for folder in CONFIGS.iterdir() if any(folder.glob("*.yaml")))


def names(listing: str) -> list[str]:
    return re.findall(r"^  (\S+)", listing, re.MULTILINE)


def options(group: str, name: str) -> list[str]:
    """Return the line of options below a choice."""
    lines = catalog(group).splitlines()
    place = next(i for i, line in enumerate(lines) if line.split()[0] == name)
    return lines[place + 1].split()


def test_every_folder_of_the_tree_is_a_group():
    assert sorted(groups() | OF_SWEEPS) == FOLDERS


@pytest.mark.parametrize("group", FOLDERS)
def test_the_choices_are_the_files_of_the_group_each_with_what_it_is(group):
    listing = catalog(group)
    assert names(listing) == sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    for name in names(listing):
        assert re.search(rf"^  {name} +\w.*\w", listing, re.MULTILINE)
    assert "@package" not in listing


@pytest.mark.parametrize("group", FOLDERS)
def test_what_a_choice_is_stands_in_one_sentence_or_more_that_end(group):
    assert [name for name in choices(group) if not entry(group, name).summary.endswith(".")] == []


TEXT = """\
# @package _global_
# A choice.
# More of it.
#   optlab train
optimizer:
  name: adam
  lr: 0.1 # step, >= 0
  betas: [0.9, 0.99] # two "numbers" # of them

trainer:
  # Where it matters,
  # and why.
  epochs: 3 # passes
  # Above alone.
  dtype: "#"
"""


def test_a_text_is_read_with_its_comments():
    choice = Choice("optimizer", TEXT)
    assert choice.summary == "A choice."
    assert choice.notes == "More of it.\n  optlab train"
    assert choice.meanings == {
        "lr": "step, >= 0",
        "betas": 'two "numbers" # of them',
        "trainer.epochs": "passes. Where it matters, and why.",
        "trainer.dtype": "Above alone.",
    }


def test_the_first_comment_is_of_the_choice_and_not_of_its_first_key():
    assert Choice("regularizer", "# A choice.\n# More.\nl1: 0.0\n").meanings == {}


def test_a_text_without_comments_says_nothing():
    choice = Choice("model", "name: mine\nhidden:\n- 3\nwords: 'a # b'\n")
    assert (choice.summary, choice.notes, choice.meanings) == ("", "", {})
    assert choice.options == {"hidden": "[3]", "words": "a # b"}


@pytest.mark.parametrize("group", registry.GROUPS, ids=lambda group: group.group)
def test_every_registered_name_can_be_chosen(group):
    assert set(group) <= set(choices(group.group))


@pytest.mark.parametrize("group", FOLDERS)
def test_singular_and_plural_mean_the_same(group):
    assert catalog(plural(group)) == catalog(group)


def test_initializers_have_their_long_name_too():
    assert catalog("initializers") == catalog("inits") == catalog("init")


@pytest.mark.parametrize(("plural_name", "group"), [("losses", "loss"), ("diagnostics",) * 2])
def test_plurals_are_english(plural_name, group):
    assert plural(group) == plural_name


def test_options_stand_with_their_values_as_they_are_typed():
    assert options("trainer", "default")[:2] == ["epochs=20", "batch_size=32"]
    assert "patience=null" in options("trainer", "default")
    assert "bias_correction=true" in options("optimizer", "adam")
    assert options("model", "mlp")[0] == "hidden=[64]"
    assert not any(option.startswith("name=") for option in options("optimizer", "adam"))


def test_what_a_choice_sets_elsewhere_is_shown_in_full():
    assert options("optimizer", "batch_gd")[0] == "lr=0.001"
    assert "trainer.batch_size=full" in options("optimizer", "batch_gd")
    assert {"b=100.0", "model=point", "trainer.epochs=500"} <= {*options("task", "rosenbrock")}
    assert options("experiment", "noisy_digits")[:2] == ["task=digits_noisy", "model.hidden=[256]"]


def test_a_listing_says_what_is_chosen_by_default():
    assert catalog("optimizer").startswith("optimizer=  (default adam)\n")
    assert catalog("experiment").startswith("experiment=  (default none)\n")


def test_without_a_group_all_are_listed(capsys):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(catalog(group) in listed for group in FOLDERS)


def test_an_unknown_group_is_an_error_with_the_nearest_first():
    with pytest.raises(ConfigError, match="known, nearest first: optimizers,"):
        catalog("optimisers")


def test_one_group_is_listed_at_a_time(capsys):
    assert main(["list", "optimizers", "tasks"]) == 2
    assert "give one group or none, got optimizers tasks" in capsys.readouterr().err


def test_listing_imports_no_torch():
    code = (
        "import sys; from optlab.cli import main; main(['list']); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
