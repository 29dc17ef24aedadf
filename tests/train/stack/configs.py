"""Parts of runs for stacks, and what is to be seen of a training of them."""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch

from optlab.build import parts_of
from optlab.train.parts import Parts
from tests.sweep.composing import _composed as composed
from tests.train.stack.reference import Loop


def parts(common: tuple[str, ...], each: tuple[tuple[str, ...], ...], task: str) -> list[Parts]:
    """Return the parts of one run for every entry of ``each``, on shared data."""
    made: list[Parts] = []
    for overrides in each:
        config = copy.deepcopy(composed(f"task={task}", *common, *overrides))
        made.append(parts_of(config, like=made[0] if made else None))
    return made


@dataclass
class Kept:
    """A sink that keeps each run's records in the order in which they came, and its histograms."""

    records: dict[int, list] = field(default_factory=dict)
    histograms: dict[int, list] = field(default_factory=dict)

    def take(self, run, update, numbers):
        """Keep the numbers of histograms."""
        found = {tag: values.copy() for tag, values in numbers.items()}
        self.histograms.setdefault(run, []).append((update, found))

    def log(self, run, update, epoch, values):
        """Keep one record."""
        self.records.setdefault(run, []).append((update, epoch, dict(values)))

    def log_block(self, runs, updates, epochs, tags, values):
        """Keep a block's records run by run."""
        assert values.shape == (len(runs), len(updates), len(tags))
        assert values.dtype == np.float64
        for run, rows in zip(runs, values.tolist(), strict=True):
            for update, epoch, row in zip(updates, epochs, rows, strict=True):
                self.log(run, update, epoch, dict(zip(tags, row, strict=True)))


@dataclass
class Alone:
    """What the reference loop makes of a run."""

    records: list
    outcome: object
    weights: dict[str, torch.Tensor]
    scores: dict[str, dict[str, float]]


def train_alone(part: Parts) -> Alone:
    """Train one run by itself."""
    training, records = part.training(), []
    loop = Loop(training, lambda *r: records.append((r[0], r[1], dict(r[2]))))
    outcome = loop.fit()
    splits = {name: getattr(part.data, name) for name in ("train", "val", "test")}
    run = training.run
    scores = {name: run.objective.evaluate(run.module, split) for name, split in splits.items()}
    own = {n: {k: v for k, v in row.items() if "/" not in k} for n, row in scores.items()}
    return Alone(records, outcome, training.run.module.state_dict(), own)
