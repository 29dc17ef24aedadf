"""A run trained again, with its weights on the way: a run is a function of its configuration."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from optlab.build import parts_of, resolve_device
from optlab.config import ConfigError, check_value
from optlab.loggers.base import VAL_LOSS
from optlab.plugins import import_plugins
from optlab.seeding import global_stream
from optlab.train import Parts
from optlab.train.alone import backend_alone
from optlab.train.stack.backend import Member
from optlab.train.stack.loop import StackTraining
from optlab.train.training import EachRecord
from optlab.types import Natural

#: Points of a path; each is a copy of all weights.
MOST_POINTS = 200


@dataclass(eq=False)
class Retraced:
    """A run after it was trained again; its module holds the weights that it ended with.

    Attributes:
        parts: What it is made of.
        path: Parameters by name at evaluations of the run, the end among them.
        epochs: Passes over the training rows at each.
    """

    parts: Parts
    path: list[dict[str, Tensor]] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)


def retraced(config: dict[str, Any], chosen: frozenset[str]) -> Retraced:
    """Train the run of a resolved configuration, and keep its weights on the way.

    Raises:
        ConfigError: For the configuration, and for a run that diverges.
    """
    seed = config["seed"] = check_value(config.get("seed"), Natural, "seed")
    import_plugins(config.get("plugins") or [])
    device = str(resolve_device(config["device"]))
    with global_stream(seed, device):
        parts = parts_of(config, chosen)
    torch.set_num_threads(parts.trainer.threads)
    found = Retraced(parts)
    with global_stream(seed, device, "training"):
        backend = backend_alone(parts)
        keep = _Keep(found, backend.members[0])
        (ended,) = StackTraining([parts], backend).fit(EachRecord(keep))
    if ended.outcome.status != "done":
        raise ConfigError(f"there is no end to look around: {ended.outcome.cause}")
    end = parameters(parts.module)
    if any(not torch.equal(end[name], found.path[-1][name]) for name in end):
        found.path.append(end)  # it stopped early, or went back to its best weights
        found.epochs.append(ended.outcome.epochs)
    return found


def parameters(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's parameters by name."""
    return {name: p.detach().clone() for name, p in module.named_parameters()}


class _Keep:
    """Keeps weights at evaluations, not more of them than can be kept."""

    def __init__(self, found: Retraced, member: Member) -> None:
        self._found, self._member = found, member
        trainer = found.parts.trainer
        evaluations = trainer.epochs / trainer.eval_every
        self._every, self._seen = max(1, math.ceil(evaluations / MOST_POINTS)), 0
        self._last = float(trainer.epochs)

    def __call__(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        if VAL_LOSS not in values:
            return
        if self._seen % self._every == 0 or epoch == self._last:
            with self._member.at_iterate():
                self._found.path.append(parameters(self._member.module))
            self._found.epochs.append(epoch)
        self._seen += 1
