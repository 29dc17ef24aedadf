"""A user's module with parts that are no function of a configuration, each by its name.

Tests copy it as a plugin into a folder and import it in other processes alone.
"""

import itertools
import os
import random
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from optlab.registry import models, tasks
from optlab.tasks.logic import Xor

COUNT = itertools.count()
RATES = {
    "numpy": lambda: np.random.default_rng().uniform(),
    "python": random.random,
    "clock": time.time_ns,
    "counter": lambda: next(COUNT),
    "hash": lambda: hash("a word") % 1000,
    "torch": lambda: torch.rand(()).item(),
}


class Noisy(torch.autograd.Function):
    """The identity, whose gradient is rounded differently each time, as of sums in any order."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, grad):
        return grad * (1 + 2.0**-10 * int.from_bytes(os.urandom(4)) / 2**32)


class Planted(nn.Module):
    def __init__(self, sizes, fault):
        super().__init__()
        self.fault, self.linear = fault, nn.Linear(*sizes)
        if fault == "buffer":
            self.register_buffer("scale", torch.tensor(np.random.default_rng().uniform()))

    def forward(self, x):
        scores = self.linear(x)
        if self.fault in RATES:
            return scores * (1 + RATES[self.fault]() % 1000)
        return Noisy.apply(scores) if self.fault == "gradient" else scores


@dataclass(frozen=True)
class Options:
    fault: str = ""

    def __call__(self, context):
        return Planted((context.num_inputs, context.num_outputs), self.fault)


models.register("planted")(Options)


@tasks.register("shifted")
@dataclass(frozen=True)
class Shifted(Xor):
    def load(self):
        data = super().load()
        shift = np.random.default_rng().uniform()
        return replace(data, val=replace(data.val, x=data.val.x + shift))


class Restless(torch.optim.SGD):
    """Reads a number that lives longer than the run."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = 0.01 * (1 + next(COUNT))
        super().step(closure)
