"""Jobs composed many at a time are those that Hydra composes one by one."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from tests.sweep.multiruns import jobs_of_hydra, jobs_of_optlab
from tests.sweep.running import TINY

LINES = {
    "grid": ["optimizer=adam,sgd", "activation=relu,tanh", "seed=range(0,2)"],
    "one job": ["optimizer.lr=0.1"],
    "three groups": ["task=xor,spirals", "optimizer=adam,sgd", "activation=relu,tanh"],
    "explicit choices": ["optimizer=choice(adam,nag)", "optimizer.lr=choice(1e-2,0.1)"],
    "globs": ["regularizer=glob(*,exclude=[l*,c*,k*])", "schedule=glob(c*)"],
    "ranges": ["optimizer.lr=range(0.1,0.3,0.1)", "seed=range(4,0,-2)"],
    "sorted": ["seed=sort(3,1,2)", "optimizer.lr=sort(0.1,0.3,reverse=true)"],
    "casts": ["seed=int(1.0,2.0)", "optimizer.lr=float(1,2)"],
    "texts": ["trainer.sampler='replacement',\"shuffle\"", "trainer.batch_size=full,2"],
    "null": ["trainer.patience=null,3", "regularizer.clip_norm=1.0,null"],
    "lists": ["model.hidden=[3],[4,4],[]"],
    "a list's element": ["model.hidden.0=3,4"],
    "added": ["optimizer=adam,sgd", "+task.note=3", "++trainer.epochs=1,2"],
    "a value before a forced one": ["trainer.epochs=1,2", "++trainer.epochs=3"],
    "removed and set again": ["~trainer.epochs=3", "+trainer.epochs=2,3"],
    "a section as a dictionary": ["++trainer={epochs:1},{epochs:2}", "trainer.log_every=3"],
    "given twice": ["seed=7", "optimizer.lr=0.1,0.2", "seed=1,2", "optimizer.lr=0.3,0.4"],
    "a preset": ["experiment=xor,noisy_digits", "trainer.epochs=2", "model.hidden=[3],[4]"],
    "tasks with models of their own": ["task=quadratic,beale", "task.noise=0,1"],
    "an interpolated value": ["optimizer.lr=0.1,0.2", "optimizer.eps='${optimizer.lr}'"],
    "interpolated values": ["optimizer.lr=0.1,0.2", "optimizer.eps='${optimizer.lr}',0.3"],
    "Hydra's own values": ["trainer.epochs='${hydra:job.num}'", "seed=3,4"],
    "other names": ["seed=0,1", "hydra.sweep.subdir='j${hydra:job.num}_${optimizer.name}'"],
    "other names, of what varies": ["seed=0,1", "hydra.sweep.subdir=s${seed}"],
    "plugins": ["plugins=[]", "device=cpu,auto"],
    "long and strange values": ["optimizer.lr=0.1", f"+task.tag=a/b,{'x' * 300}"],
}
#: Lines that compose and are no valid runs: here it matters what was composed.
BEYOND = {
    *("long and strange values", "Hydra's own values", "added"),
    *("an interpolated value", "interpolated values"),
}


@pytest.mark.parametrize("name", LINES)
def test_jobs_equal_those_of_hydra(folder, monkeypatch, name):
    if name in BEYOND:
        monkeypatch.setattr("optlab.sweep.validate.refuse_invalid", lambda runs: None)
    tiny = [] if "task=" in LINES[name][0] else TINY
    line = [*tiny, *LINES[name], "sweep.dir=out"]
    assert jobs_of_optlab(monkeypatch, *line) == jobs_of_hydra(monkeypatch, *line)


def test_what_is_removed_needs_no_value(folder, monkeypatch):
    jobs = jobs_of_optlab(monkeypatch, *TINY, "~trainer.epochs", "+trainer.epochs=1,2")
    assert [config["trainer"]["epochs"] for _, config, _ in jobs] == [1, 2]


def test_hydra_composes_once_for_every_choice(folder, monkeypatch):
    composed = []
    stock = ConfigLoaderImpl.load_sweep_config

    def counted(self, master, words):
        composed.append(words)
        return stock(self, master, words)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    grid = ["optimizer=adam,sgd", "init=zeros,he_normal", "seed=range(0,10)", "optimizer.lr=1,2"]
    assert len(jobs_of_optlab(monkeypatch, *TINY, *grid)) == 80
    assert len(composed) == 3  # the first combination, and each other choice in it


def test_choices_that_meet_in_a_section_are_composed_together(folder, monkeypatch):
    line = ["experiment=xor,noisy_digits", "optimizer=sgd,momentum", "init=zeros,he_normal"]
    line += ["trainer.epochs=1", "model.hidden=[3]", "sweep.dir=out"]
    assert jobs_of_optlab(monkeypatch, *line) == jobs_of_hydra(monkeypatch, *line)


def test_no_packaged_choice_depends_on_another():
    for path in Path(str(files("optlab.configs"))).rglob("*.yaml"):
        defaults = (yaml.safe_load(path.read_text()) or {}).get("defaults", [])
        assert "${" not in str(defaults), path


def test_files_of_a_user_are_read_for_every_combination(folder, monkeypatch):
    own = folder / "mine" / "optimizer"
    own.mkdir(parents=True)
    (own / "cold.yaml").write_text("defaults:\n  - adam\n  - _self_\nlr: 1e-9\n")
    line = [*TINY, "optimizer=adam,cold", "init=zeros,he_normal", "sweep.dir=out"]
    flags = ["--config-dir", str(folder / "mine")]
    jobs = jobs_of_optlab(monkeypatch, *flags, *line)
    assert jobs == jobs_of_hydra(monkeypatch, *flags, *line)
    assert [job["optimizer"]["lr"] for _, job, _ in jobs] == [0.001, 0.001, 1e-9, 1e-9]


def test_composing_imports_no_torch():
    code = (
        "import sys; from optlab.cli import main; "
        "code = main(['sweep', 'optimizer=adam,sgd', 'trainer.epochs=1,2', 'loss.delta=1']); "
        "sys.exit('torch' in sys.modules or code != 2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loss=auto has no option 'delta'" in done.stderr
