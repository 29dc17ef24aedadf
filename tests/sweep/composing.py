"""Resolved configurations of small runs, and what is to be seen of such a run."""

import copy
import functools

import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from optlab.build import build

SMALL = ("task.rows=80", "trainer.epochs=6")


def configuration(*overrides, task="blobs"):
    """Return what ``optlab train`` would run: 48 rows in 12 updates, unless overridden."""
    return copy.deepcopy(_composed(f"task={task}", *SMALL, *overrides))


@functools.cache
def _composed(*overrides):
    with initialize_config_module("optlab.configs", version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)


def observe(config):
    """Train and return what an option may change, aspect by aspect."""
    training, records, histograms = build(config), [], []
    start = numbers(training.run.module)
    ended = training.fit(
        lambda update, epoch, values: records.append((update, epoch, sorted(values))),
        lambda run, update, values: histograms.append((update, sorted(values))),
    )
    return {
        "engine": type(training.run).__name__,
        "loss": type(training.run.objective.loss).__name__,
        "dtype": next(training.run.module.parameters()).dtype,
        "start": start,
        "end": numbers(training.run.module),
        "updates": ended.outcome.updates,
        "records": records,
        "histograms": histograms,
    }


def numbers(module):
    """Return all parameters and buffers of a module as one float64 vector."""
    return torch.cat([value.double().reshape(-1) for value in module.state_dict().values()])


def differing(a, b):
    """Return the aspects in which two runs differ.

    Numbers differ beyond 1e-4: rounding to float32 stays below that in 12 updates, and what an
    option does is larger.
    """
    return {aspect for aspect in a if not _same(a[aspect], b[aspect])}


def _same(a, b):
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-4)
    return a == b
