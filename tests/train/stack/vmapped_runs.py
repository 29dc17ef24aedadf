"""Runs made by hand for tests of the vmapped backend."""

import copy
from dataclasses import replace

import torch
from torch import nn

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.init import he_normal_, initialize
from optlab.models.mlp import MLP
from optlab.nn import ReLU
from optlab.nn.dropout import seed_dropout
from optlab.nn.losses import SparseCCE
from optlab.nn.metrics import accuracy
from optlab.optim import Adam
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Data, Split
from optlab.train import Objective, Parts, RuleChoice, Sampler
from optlab.train.stack.vmapped import Vmapped

LOSS = SparseCCE()
OBJECTIVE = Objective(
    LOSS, lambda z, y: {"accuracy": accuracy(LOSS.predict(z), LOSS.labels(y))}, ("accuracy",)
)
EVERYTHING = Regularizer(l1=0.3, l2=0.5, decay=0.01, clip_norm=0.7, clip_value=0.2)


def split(rows, seed, dtype):
    stream = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 5, generator=stream, dtype=dtype)
    return Split(x, torch.randint(3, (rows,), generator=stream))


def part(
    seed,
    entry=Adam,
    lr=0.05,
    activation=ReLU,
    norm=None,
    dropout=0.0,
    regularizer=None,
    dtype=torch.float64,
    batch_size=8,
    device="cpu",
    **options,
):
    """Return the parts of a run: 5 features, 7 and 6 hidden units, 3 classes, 40 rows."""
    module = MLP(5, (7, 6), 3, activation=activation, norm=norm, dropout=dropout)
    initialize(module, he_normal_, seed)
    seed_dropout(module, seed)
    data = Data(split(40, 0, dtype), split(30, 1, dtype), split(20, 2, dtype), num_classes=3)
    return Parts(
        module.to(device, dtype),
        OBJECTIVE,
        data.to(torch.device(device), dtype),
        3,
        RuleChoice(entry, entry.rule.hyper(lr=lr, **options)),
        Regularizer() if regularizer is None else regularizer,
        Sampler(40, batch_size, "shuffle", seed, torch.device(device)),
        TrainerConfig(),
        DiagnosticsConfig(),
        lambda update, num_updates: 1.0,
        structure=f"{module}",
    )


def again(parts):
    """Return the same runs at their start, with modules of their own."""
    return [replace(own, module=copy.deepcopy(own.module)) for own in parts]


def rows_of(parts, updates):
    """Return the row numbers of each run's batches, (R, K, B), or None for all rows."""
    if parts[0].sampler.batch_size >= parts[0].sampler.num_rows:
        return None
    orders = []
    for own in parts:
        sampler, batches, epoch = own.sampler, [], 0
        while len(batches) < updates:
            full = [rows for rows in sampler.epoch(epoch) if len(rows) == sampler.batch_size]
            batches, epoch = batches + full, epoch + 1
        orders.append(torch.stack(batches[:updates]))
    return torch.stack(orders)


def factors_of(runs, updates):
    """Return a factor of the learning rate for each run and update, (R, K)."""
    start = 1 / (1 + torch.arange(runs, dtype=torch.float64))
    return start.unsqueeze(1) * torch.linspace(1.0, 0.3, updates, dtype=torch.float64)


def trained(parts, updates=10, is_compiled=False, wanted=None):
    """Return a backend after some updates, the values of its batches, and an evaluation."""
    stack = Vmapped(parts, is_compiled)
    active = list(range(len(parts)))
    numbers = range(len(parts)) if wanted is None else wanted
    factors = factors_of(max(numbers) + 1, updates)[list(numbers)]
    values = stack.advance(active, rows_of(parts, updates), factors)
    return stack, values, stack.evaluate(active, parts[0].data.val)


def weights(module: nn.Module):
    """Return parameters and buffers of a module, by name."""
    named = (*module.named_parameters(), *module.named_buffers())
    return {name: tensor.detach().clone() for name, tensor in named}
