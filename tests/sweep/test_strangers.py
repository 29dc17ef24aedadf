"""Configuration files of others that try to run code: none does, and each is refused in a sentence.

`ATTACKS` all succeed against Hydra alone, as the first test here shows.
"""

import contextlib
import shlex
import sqlite3
import sys

import pytest
import yaml

from optlab.cli import main
from optlab.sweep import hydra_app
from tests.sweep.running import TINY, curve

MADE = "{_target_: os.mkdir, path: SPRUNG}"
LOGS = "{version: 1, root: {handlers: [x]}, handlers: {x: {(): os.mkdir, path: SPRUNG}}}"

#: What of Hydra's section is abused: choices that go before, and the section.
ATTACKS = {
    "callback": ("", f"callbacks: {{own: {MADE}}}"),
    "job logging": ("", f"job_logging: {LOGS}"),
    "hydra logging": ("", f"hydra_logging: {LOGS}"),
    "sweeper": (
        "- override /hydra/sweeper: optlab",
        f"mode: MULTIRUN\n  sweeper: {{params: {MADE}}}",
    ),
    "launcher": (
        "- override /hydra/launcher: optlab",
        f"mode: MULTIRUN\n  launcher: {{plan_only: {MADE}}}",
    ),
}
attacks = pytest.mark.parametrize("attack", ATTACKS)


@pytest.fixture
def run_file(train):
    """Return a function that writes a run's configuration with something added."""
    config = (train("first") / "config.yaml").read_text()

    def write(place, attack=None, sprung=None):
        text = config
        if attack is not None:
            head, tail = acting(attack, sprung)
            text = text.replace("hydra:\n  searchpath:\n  - pkg://optlab.configs\n", tail)
            text = text.replace("- _self_\n", f"- _self_\n{head}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return str(place)

    return write


@pytest.fixture
def sprung(folder):
    return folder / "sprung"


def acting(attack, sprung):
    """Return choices and Hydra's section of an attack, as YAML."""
    choices, section = ATTACKS[attack]
    searchpath = "  searchpath: ['pkg://optlab.configs']\n"
    section = f"hydra:\n  {section}\n{searchpath}".replace("SPRUNG", str(sprung))
    return f"{choices}\n" if choices else "", section


def preset_of(attack, sprung):
    choices, section = acting(attack, sprung)
    return f"# @package _global_\n{'defaults:' if choices else ''}\n{choices}{section}"


def refused(arguments, capfd):
    """Return the sentence with which a command line is refused."""
    assert main(arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


@attacks
@pytest.mark.filterwarnings("ignore")
def test_what_is_tried_here_succeeds_against_hydra_alone(
    attack, run_file, folder, sprung, monkeypatch
):
    monkeypatch.setattr(hydra_app, "refuse_acting_presets", lambda flags: None)
    run_file(folder / "theirs" / "config.yaml", attack, sprung)
    flags = ["--config-path", str(folder / "theirs"), "--config-name", "config"]
    with contextlib.suppress(Exception):  # what Hydra makes is not what it needs
        main(["train", *flags, "hydra.run.dir=out", "seed=0"])
    assert sprung.is_dir()


@attacks
def test_a_runs_configuration_says_nothing_to_hydra(attack, run_file, folder, sprung, capfd):
    path = run_file(folder / "theirs" / "config.yaml", attack, sprung)
    for given in (path, str(folder / "theirs")):
        line = refused(["train", given, "hydra.run.dir=out"], capfd)
        assert f"{path} has a section '" in line
        assert "which is no part of a run: take it out" in line
    assert main(["sweep", path, "seed=0,1", "sweep.dir=out"]) == 2
    assert not sprung.exists()


@attacks
def test_what_lies_beside_a_runs_configuration_is_not_looked_at(
    attack, run_file, folder, sprung, train
):
    path = run_file(folder / "theirs" / "config.yaml")
    (folder / "theirs" / "folders.yaml").write_text(preset_of(attack, sprung))
    again = train("again", path, tiny=())
    assert curve(again) == curve(folder / "first")
    assert not sprung.exists()


@attacks
def test_a_folder_of_presets_says_nothing_to_hydra(attack, folder, sprung, capfd):
    preset = folder / "theirs" / "experiment" / "nice.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(preset_of(attack, sprung))
    for flag in ("--config-dir", "--config-path"):
        line = refused(["train", *TINY, flag, str(folder / "theirs"), "experiment=nice"], capfd)
        assert f"{preset} has a section 'hydra' that says more than where output goes" in line
    refused(["train", *TINY, f"--config-dir={folder / 'theirs'}", "experiment=nice"], capfd)
    (folder / "mine").mkdir()
    (folder / "mine" / "experiment").symlink_to(preset.parent)
    refused(["train", *TINY, "-cd", "mine", "experiment=nice"], capfd)
    assert not sprung.exists()


OTHER_WAYS = {
    "experiment/a.yaml": "# @package hydra.callbacks\nx: 1\n",
    "hydra/callbacks/a.yaml": "x: 1\n",
    "experiment/b.yaml": "defaults:\n  - x@hydra.callbacks: a\n",
    "experiment/c.yaml": "defaults:\n  - /hydra/callbacks/a\n",
    "experiment/d.yaml": "defaults:\n  - ../../theirs: a\n",
    "experiment/e.yaml": "a: &a {hydra: {callbacks: {}}}\n<<: *a\n",
    "experiment/f.yml": "hydra: ${oc.env:HOME}\n",
}


@pytest.mark.parametrize("place", OTHER_WAYS)
def test_other_ways_into_hydras_section_are_closed(place, folder, capfd):
    path = folder / "theirs" / place
    path.parent.mkdir(parents=True)
    path.write_text(OTHER_WAYS[place])
    line = refused(["train", *TINY, "--config-dir", "theirs"], capfd)
    assert f"theirs/{place} " in line
    assert line.endswith("take it out, and give what it was for on the command line")


def test_presets_may_choose_what_is_installed_and_where_output_goes(folder):
    preset = folder / "mine" / "experiment" / "own.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: basic\n"
        "  - override /optimizer: nag\nhydra:\n  run:\n    dir: here\n"
    )
    (folder / "mine" / "loop").symlink_to(folder / "mine")
    assert main(["train", "--config-dir", "mine", *TINY, "experiment=own"]) == 0
    saved = yaml.safe_load((folder / "here" / "config.yaml").read_text())
    assert saved["optimizer"]["name"] == "nag"


def test_a_pickle_to_run_again_from_is_refused(folder, capfd):
    line = refused(["train", *TINY, "--experimental-rerun", "theirs"], capfd)
    assert "reads a pickle, which can run code" in line


MODULE = "from pathlib import Path\nPath('sprung').mkdir()\nfrom torch.optim import SGD as Own\n"


@pytest.fixture
def their_module(folder, monkeypatch):
    """Put a module that acts when it is imported where modules are looked for."""
    (folder / "their_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    yield "their_module"
    sys.modules.pop("their_module", None)


CODE = {
    "plugins": ("plugins: []", "plugins: [their_module]"),
    "optimizer.target": (
        "optimizer:\n  name: adam",
        "optimizer:\n  name: foreign\n  target: their_module.Own",
    ),
    "optimizer.optimizer.target": (
        "optimizer:\n  name: adam",
        "optimizer:\n  name: foreign\n  target: torch.optim.SGD\n"
        "  optimizer: {target: their_module.Own}",
    ),
    "optimizer.base_optimizer": (
        "optimizer:\n  name: adam",
        "optimizer:\n  name: foreign\n  target: torch.optim.SGD\n"
        "  base_optimizer: their_module.Own",
    ),
}


@pytest.mark.parametrize("key", CODE)
def test_code_that_a_file_names_runs_only_when_it_is_typed_too(
    key, run_file, folder, their_module, sprung, capfd
):
    found, named = CODE[key]
    path = folder / "theirs" / "config.yaml"
    text = (folder / run_file(path)).read_text().replace(found, named)
    assert named in text
    for option in ("beta1", "beta2", "eps", "eps_placement", "bias_correction"):
        text = text.replace(f"\n  {option}:", f"\n  #{option}:") if key != "plugins" else text
    path.write_text(text)
    line = refused(["train", str(path), "hydra.run.dir=out"], capfd)
    assert "the configuration names code to run, " + key in line
    word = line.rpartition("then add ")[2].strip("'")
    for launcher in ("basic", "optlab"):
        sweep = ["train", "-m", str(path), "seed=0,1", f"hydra/launcher={launcher}", "sweep.dir=s"]
        assert main(sweep) in (1, 2)
    assert not sprung.exists()
    main(["train", str(path), "hydra.run.dir=out", word])
    assert sprung.is_dir()


def test_a_sweep_that_is_resumed_by_its_folder_alone_runs_no_code(folder, their_module, capfd):
    line = ["sweep", *TINY, "plugins=[their_module]", "seed=0,1", "sweep.dir=out", "logger=none"]
    assert main(line) == 0
    (folder / "sprung").rmdir()
    sys.modules.pop(their_module)
    capfd.readouterr()
    with sqlite3.connect(folder / "out" / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE runs SET state = 'queued', result = NULL")
    ledger.close()
    said = refused(["sweep", "--resume", "out"], capfd)
    assert "was started with plugins=[their_module], which runs code" in said
    assert not (folder / "sprung").exists()
    typed = shlex.split(said.partition("yourself: optlab ")[2])
    assert main(typed) == 0
    assert (folder / "sprung").is_dir()
