"""What no field of a configuration takes: every field of every file, fed with nonsense.

Fields come from the files, so that one without a range, or one that nobody checks, fails here.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from optlab import registry
from optlab.build import parts_of
from optlab.catalog import groups
from optlab.cli import main
from optlab.config import ConfigError
from optlab.seeding import global_stream
from optlab.sweep.settings import settings_of
from tests.sweep.composing import configuration
from tests.sweep.test_wiring import CONFIGS, with_choice

#: Nobody means these, whatever the field.
NONSENSE: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "beyond float32": 1e308,
    "beyond int64": 10**40,
    "empty": "",
    "other word": "no such word",
    "float16": "float16",
    "list of nan": [math.nan],
    "list of null": [None],
    "list of words": ["no such word"],
    "list of lists": [[1]],
    "mapping": {"a": 1},
    "empty mapping": {},
}
#: Some fields take these; a run with them can then be built and updated.
ABSURD = [True, -1, 0, 1, 99, -0.5, 0.5, 1.5, 2**40, None, [], [0], [-1], [2**40]]

GROUPS = sorted(groups())  # of a run: a protocol is of a sweep
FILES = [path for group in GROUPS for path in sorted((CONFIGS / group).glob("*.yaml"))]
#: Fields that take any text: it is looked up, and what is not there is refused by another test.
TEXTS = {"task.path", "task.root", "task.digest"}
#: Tasks whose rows come over the network.
FETCHED = {"mnist", "fashion_mnist", "cifar10"}
#: More updates than these are not waited for.
FEW = 100


def choice(path: Path) -> str:
    return f"{path.parent.name}={path.stem}"


def fields(path: Path) -> list[str]:
    content = yaml.safe_load(path.read_text())
    return [key for key in content.get(path.parent.name, content) if key != "name"]


#: The first choice with each field of a group: there it is trained with as well.
FIRST = {(path.parent.name, key): path for path in reversed(FILES) for key in fields(path)}
RUNS = [path for path in FILES if path.parent.name not in ("task", "experiment")]
TASKS = [path for path in FILES if path.parent.name == "task"]


def build(config: dict[str, Any], is_trained: bool) -> None:
    """Do what a job does with a configuration, up to the end of a short training."""
    parts = parts_of(config)
    training = parts.training()
    if is_trained and parts.num_updates <= FEW:
        training.fit(lambda update, epoch, values: None)


def wrong_message(error: ConfigError, group: str, key: str, only: bool) -> str | None:
    """Return the message where it does not name the field, or one beside it that it contradicts."""
    wanted = f"{group}.{key}" if only else f"{group}."
    return None if wanted in str(error) else f"{key}: {error}"


def fed(config: dict[str, Any], path: Path, key: str, value: Any) -> dict[str, Any]:
    group = path.parent.name
    return {**config, group: {**config[group], key: value}}


def nonsense_of(path: Path, key: str) -> dict[str, Any]:
    is_text = f"{path.parent.name}.{key}" in TEXTS
    return {
        name: value for name, value in NONSENSE.items() if not (is_text and isinstance(value, str))
    }


@pytest.fixture(scope="module")
def base() -> Any:
    """Return the configuration of a short run with a choice."""
    return lambda path: with_choice(
        path.parent.name, path.stem, "trainer.epochs=1", "trainer.batch_size=full"
    )


@pytest.mark.parametrize("path", RUNS, ids=choice)
def test_no_field_takes_nonsense(path: Path, base: Any) -> None:
    config, wrong = base(path), []
    for key in fields(path):
        for name, value in nonsense_of(path, key).items():
            try:
                build(fed(config, path, key, value), is_trained=False)
                wrong.append(f"{key} took {name}")
            except ConfigError as error:
                wrong.append(wrong_message(error, path.parent.name, key, only=True))
    assert [found for found in wrong if found] == []


@pytest.mark.parametrize("path", RUNS, ids=choice)
def test_what_a_field_takes_can_be_trained_with(path: Path, base: Any) -> None:
    config, wrong = base(path), []
    for key in fields(path):
        for value in ABSURD:
            try:
                build(fed(config, path, key, value), FIRST[path.parent.name, key] == path)
            except ConfigError as error:
                wrong.append(wrong_message(error, path.parent.name, key, only=False))
    assert [found for found in wrong if found] == []


@pytest.mark.parametrize("path", TASKS, ids=choice)
def test_a_task_takes_no_nonsense_and_loads_with_what_it_takes(path: Path) -> None:
    options = yaml.safe_load(path.read_text())
    options = dict(options.get("task", options))
    name, wrong = options.pop("name"), []
    options |= {"rows": 80} if "rows" in options else {}
    for key in fields(path):
        for value in [*nonsense_of(path, key).values(), *ABSURD]:
            try:
                task = registry.tasks.create(name, {**options, key: value}, "task")
                if value in NONSENSE.values():
                    wrong.append(f"{key} took {value!r}")
                elif name not in FETCHED:
                    with global_stream(0, "cpu", "data"):
                        task.load()
            except ConfigError as error:
                wrong.append(wrong_message(error, "task", key, only=False))
    assert [found for found in wrong if found] == []


TOP = [key for key in yaml.safe_load((CONFIGS / "train.yaml").read_text()) if key != "defaults"]


@pytest.mark.parametrize("key", TOP)
def test_no_value_beside_the_sections_takes_nonsense(key: str) -> None:
    config, taken = configuration(), []
    for name, value in NONSENSE.items():
        if key == "plugins" and name == "list of words":
            continue  # names of modules, which are looked for
        try:
            parts_of({**config, key: value})
            taken.append(name)
        except ConfigError as error:
            assert key in str(error)  # noqa: PT017 - each of several values
    assert taken == []


SWEEP = [
    key for key in yaml.safe_load((CONFIGS / "folders.yaml").read_text())["sweep"] if key != "dir"
]


@pytest.mark.parametrize("key", SWEEP)
def test_no_word_about_sweeps_takes_nonsense(key: str) -> None:
    section = dict.fromkeys(SWEEP)
    section |= {
        k: v
        for k, v in yaml.safe_load((CONFIGS / "folders.yaml").read_text())["sweep"].items()
        if k in SWEEP
    }
    for value in [*NONSENSE.values(), -1, 0.5, [0]]:
        with pytest.raises(ConfigError, match=f"sweep.{key}"):
            settings_of(OmegaConf.create({"sweep": {**section, key: value}}))


@pytest.mark.parametrize("group", [g for g in GROUPS if g != "experiment"])
def test_the_command_line_refuses_what_the_code_does(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Hydra reads a word as YAML would and OmegaConf keeps it, and nothing of that is forgiving."""
    monkeypatch.chdir(tmp_path)
    path = next(p for p in FILES if p.parent.name == group and fields(p))
    key = fields(path)[0]
    assert main(["train", choice(path), f"{group}.{key}=nan"]) == 2
    _, err = capfd.readouterr()
    assert f"{group}.{key}" in err
    assert "got nan" in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
