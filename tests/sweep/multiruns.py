"""What a line of overrides comes to, by Hydra's own sweeper and launcher and by optlab's."""

import os
import sys
from types import SimpleNamespace

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from optlab.cli import main


def jobs_of_hydra(monkeypatch, *line):
    """Return (folder, configuration, words) of every job that Hydra's basic launcher starts."""
    jobs = []

    def record(config):
        hydra = HydraConfig.get()
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
        words = OmegaConf.to_container(hydra.overrides.task, resolve=False)
        own = {k: v for k, v in resolved.items() if k not in ("sweep", "defaults", "hydra")}
        jobs.append((hydra.runtime.output_dir, own, tuple(words)))
        return 0.0

    monkeypatch.setattr("optlab.sweep.hydra_app.run_job", record)
    assert main(["train", "-m", *line]) == 0
    return jobs


def planned(monkeypatch, *line, command=("sweep",)):
    """Return the exit code and what optlab's launcher would execute: (runs, folder, settings)."""
    found = []
    executor = SimpleNamespace(execute=lambda *plan: found.append(plan) or plan[0])
    monkeypatch.setitem(sys.modules, "optlab.sweep.execute", executor)
    monkeypatch.setattr("optlab.commands._rank", lambda folder: None)
    code = main([*command, *line])
    return code, found[0] if found else None


def jobs_of_optlab(monkeypatch, *line):
    """Return (folder, configuration, words) of every run that would be executed."""
    code, plan = planned(monkeypatch, *line)
    assert code == 0
    runs, _, _ = plan
    assert [run.number for run in runs] == list(range(len(runs)))
    return [(os.path.abspath(run.folder), dict(run.config), run.overrides) for run in runs]
