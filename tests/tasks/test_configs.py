"""Every file of configs/task says what its task's signature says."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import optlab.tasks  # noqa: F401 - fills the registry
from optlab.config import options_of
from optlab.registry import tasks

FOLDER = Path(__file__).parents[2] / "configs" / "task"
FILES = sorted(FOLDER.glob("*.yaml"))


def task_section(path: Path) -> dict:
    """Return name and options, which a file with the global header keeps under ``task``."""
    content = OmegaConf.to_container(OmegaConf.load(path))
    is_global = path.read_text().startswith("# @package _global_\n")
    return content["task"] if is_global else content


def defaults_of(name: str) -> dict:
    return {key: option.default for key, option in options_of(tasks.get(name)).items()}


@pytest.mark.parametrize("name", list(tasks))
def test_a_task_has_a_file_with_its_defaults(name):
    section = task_section(FOLDER / f"{name}.yaml")
    assert section == {"name": name} | defaults_of(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_gives_every_option_a_value_that_the_task_takes(path):
    section = task_section(path)
    name = section.pop("name")
    assert section.keys() == defaults_of(name).keys()
    tasks.create(name, section)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_what_it_is_and_comments_every_option(path):
    lines = path.read_text().removeprefix("# @package _global_\n").splitlines()
    assert re.match(r"# \w.*\.$", lines[0])
    for option in task_section(path).keys() - {"name"}:
        (line,) = (text for text in lines if text.lstrip().startswith(f"{option}:"))
        assert re.search(r" # \w", line)
        assert len(line) <= 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_a_test_function_starts_a_point_of_its_dimension(path):
    section = task_section(path)
    task = tasks.create(section.pop("name"), section)
    has_objective = hasattr(task, "objective")
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert path.read_text().startswith("# @package _global_\n") == has_objective
    if has_objective:
        overrides = {"override /model": "point"}, {"override /loss": task.default_loss}
        assert content["defaults"] == list(overrides)
        assert len(content["model"]["start"]) == task.load().num_outputs
