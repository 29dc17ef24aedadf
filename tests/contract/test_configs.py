"""Every YAML of a group says what the code says: the same names, options and defaults.

A choice is a file ``configs/GROUP/CHOICE.yaml``. In a group with a registry it has a ``name``: the
entry that it configures. A file called like its entry holds the entry's defaults; one called
otherwise is a preset and may hold other values of the same options.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry
from optlab.config import bind, options_of
from optlab.config.schema import DiagnosticsConfig, LoggerConfig, TrainerConfig
from optlab.optim.regularizers import Regularizer
from optlab.optim.transformed import Transform
from optlab.registry import Registry
from optlab.tasks.functions import Surface

CONFIGS = Path(__file__).parents[2] / "configs"
REGISTRIES = {
    group.group: group for group in vars(registry).values() if isinstance(group, Registry)
}
SECTIONS: dict[str, Callable[..., Any]] = {
    "regularizer": Regularizer,
    "transform": Transform,
    "trainer": TrainerConfig,
    "diagnostics": DiagnosticsConfig,
    "logger": LoggerConfig,
}
#: Choices that `optlab.build` takes apart by itself, so that no entry holds their options.
WITHOUT_ENTRY = {
    "optimizer=foreign": "its options are those of the class that a user names",
    "loss=auto": "stands for the default loss of the task",
}


def files_of(groups: Iterable[str]) -> list[Path]:
    return [path for group in sorted(groups) for path in sorted((CONFIGS / group).glob("*.yaml"))]


def choice(path: Path) -> str:
    return f"{path.parent.name}={path.stem}"


def sections(path: Path) -> dict[str, Any]:
    """Return the sections that a file sets: its group's, or several if it is a global one.

    A global file may also choose for other groups, under ``defaults``, and say what a sweep varies.
    """
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    assert set(content.get("hydra", {})) <= {"sweeper"}
    content.pop("hydra", None)
    is_global = path.read_text().startswith("# @package _global_")
    return content if is_global else {path.parent.name: content}


def chosen_elsewhere(path: Path) -> dict[str, Path]:
    """Return the files that a global file chooses for other groups, by group."""
    chosen = [item for entry in sections(path).get("defaults", []) for item in entry.items()]
    files = {key.removeprefix("override /"): f"{stem}.yaml" for key, stem in chosen}
    return {group: CONFIGS / group / file for group, file in files.items()}


def section(path: Path) -> dict[str, Any]:
    return dict(sections(path)[path.parent.name])


def configured(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of the entry that a file configures, and the options."""
    options = section(path)
    return options.pop("name"), options


def signature(group: str, name: str) -> Callable[..., Any]:
    """Return what the options of an entry are passed to."""
    entry = REGISTRIES[group].get(name)
    return entry.rule.hyper if group == "optimizer" else entry


def is_ours(entry: Any) -> bool:
    """Say whether an entry is optlab's own; other tests may have imported a plugin."""
    return str(entry.__module__).startswith("optlab.")


def defaults_of(target: Callable[..., Any]) -> dict[str, Any]:
    return {name: plain(option.default) for name, option in options_of(target).items()}


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


CHOICES = files_of(REGISTRIES)
ENTRIES = [path for path in CHOICES if choice(path) not in WITHOUT_ENTRY]


def test_functions_say_where_their_sweeps_begin_and_nothing_else_of_hydra() -> None:
    found = {path.stem: OmegaConf.load(path).get("hydra") for path in files_of(["task"])}
    told = {name: own for name, own in found.items() if own is not None}
    surfaces = {n for n, entry in registry.tasks.items() if issubclass(entry, Surface)}
    assert set(told) == surfaces
    for name, own in told.items():
        assert OmegaConf.to_container(own).keys() == {"sweeper"}, name
        assert own.sweeper.keys() == {"params"}, name
        assert own.sweeper.params.keys() == {"model.start", "optimizer.lr"}, name


@pytest.mark.parametrize("path", ENTRIES, ids=choice)
def test_choice_sets_exactly_the_options_of_its_entry(path: Path) -> None:
    name, options = configured(path)
    assert set(options) == set(options_of(signature(path.parent.name, name)))


@pytest.mark.parametrize("path", ENTRIES, ids=choice)
def test_choice_has_allowed_values_and_the_defaults_if_it_is_called_like_its_entry(
    path: Path,
) -> None:
    name, options = configured(path)
    target = signature(path.parent.name, name)
    assert bind(target, options, path.parent.name).keys() == options.keys()
    assert name != path.stem or options == defaults_of(target)


def test_choices_without_an_entry_are_there_and_have_none() -> None:
    found = {choice(path): path for path in CHOICES if choice(path) in WITHOUT_ENTRY}
    assert found.keys() == WITHOUT_ENTRY.keys()
    assert not [path for path in found.values() if path.stem in REGISTRIES[path.parent.name]]


@pytest.mark.parametrize("path", CHOICES, ids=choice)
def test_choice_sets_other_sections_to_allowed_values(path: Path) -> None:
    elsewhere = chosen_elsewhere(path)
    assert [file for file in elsewhere.values() if not file.exists()] == []
    for group in sections(path).keys() - {path.parent.name, "defaults"}:
        options = sections(path)[group]
        target = SECTIONS.get(group) or signature(group, section(elsewhere[group])["name"])
        assert bind(target, options, group).keys() == options.keys()


@pytest.mark.parametrize("group", sorted(REGISTRIES))
def test_every_entry_has_a_file(group: str) -> None:
    own = {name for name, entry in REGISTRIES[group].items() if is_ours(entry)}
    assert own
    assert own <= {path.stem for path in (CONFIGS / group).glob("*.yaml")}


@pytest.mark.parametrize("path", files_of(SECTIONS), ids=choice)
def test_choice_of_a_section_sets_every_option_to_an_allowed_value(path: Path) -> None:
    target, options = SECTIONS[path.parent.name], section(path)
    assert set(options) == set(options_of(target))
    assert bind(target, options, path.parent.name).keys() == options.keys()


@pytest.mark.parametrize("group", sorted(SECTIONS))
def test_one_choice_of_a_section_holds_the_defaults(group: str) -> None:
    held = [section(path) for path in (CONFIGS / group).glob("*.yaml")]
    assert held.count(defaults_of(SECTIONS[group])) == 1


@pytest.mark.parametrize("path", files_of(REGISTRIES | SECTIONS), ids=choice)
def test_file_says_what_it_is_and_every_value_what_it_means(path: Path) -> None:
    lines = path.read_text().splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    assert re.match(r"# \S+", first)
    values = [line for line in lines if re.match(r"\s*\w+: *[^ #]", line)]
    assert not [
        line for line in values if " # " not in line and not line.lstrip().startswith("name:")
    ]
