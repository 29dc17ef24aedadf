"""``optlab bench sweep``: what stacking is worth on this machine, in some ten seconds.

Updates per second of the digits MLP 64-64-10 (batch 64, Adam, float32, each run in a data order of
its own) by the loop that everybody writes, `torch.nn` and fused `torch.optim` on data that is
resident, and by runs of a sweep. Rounds are interleaved; the best of each counts. The peer is the
one place of the package that uses layers of `torch.nn`: it is what optlab's are compared with.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from torch import Tensor, nn

from optlab.build import parts_of
from optlab.compiler import NotCompiled
from optlab.config import ConfigError
from optlab.train.native import Native
from optlab.train.parts import Parts
from optlab.train.stack import Backend

BATCH = 64
ROUNDS = 5
PEER = "a loop of torch.nn and fused torch.optim, one run"

#: Makes a call of some updates, and says how many it makes.
Contestant = tuple[Callable[[], object], int]


def by_hand(parts: Parts) -> Contestant:
    """Return updates of the loop that everybody writes, at its best setting."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = parts.data.train.x, parts.data.train.y
    optimizer = torch.optim.Adam(model.to(x.device).parameters(), fused=True)
    batches = _rows([parts])[0]

    def epoch() -> None:
        for rows in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch, len(batches)


def stacked(parts: Sequence[Parts], backend: Backend) -> Contestant:
    """Return updates of all runs of a stack."""
    rows = _rows(parts)
    factors = torch.ones(rows.shape[:2], dtype=torch.float64)
    active = range(len(parts))
    return lambda: backend.advance(active, rows, factors), rows.shape[0] * rows.shape[1]


def runs(config: Mapping[str, Any], count: int) -> list[Parts]:
    """Return the parts of runs that differ in their seeds."""
    first = parts_of({**config, "seed": 0})
    return [first, *(parts_of({**config, "seed": s}, like=first) for s in range(1, count))]


def fresh(parts: Parts) -> Parts:
    """Return the parts with a module of their own."""
    return replace(parts, module=copy.deepcopy(parts.module))


def configuration(*overrides: str) -> dict[str, Any]:
    """Return the resolved configuration of a run of the digits MLP."""
    with initialize_config_module("optlab.configs", version_base="1.3"):
        config = compose("train", overrides=[f"trainer.batch_size={BATCH}", *overrides])
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items() if key != "sweep"}


def rates(contestants: Mapping[str, Contestant], rounds: int = ROUNDS) -> dict[str, float]:
    """Return updates per second of each, measured in turn."""
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds + 1):
        for name, (call, updates) in contestants.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - started) / updates)
    return {name: 1 / seconds for name, seconds in best.items()}


def sweep_lines(counts: Sequence[int] = (1, 8, 64), rounds: int = ROUNDS) -> Iterator[str]:
    """Measure, and yield the lines of a table.

    Raises:
        ConfigError: Where nothing can be compiled.
    """
    torch.set_num_threads(1)
    parts = runs(configuration("device=cpu"), max(counts))
    contestants = {PEER: by_hand(parts[0])}
    for count in counts:
        noun = "run" if count == 1 else "runs"
        contestants[f"optlab, {count} {noun}, one core"] = _native(parts[:count], threads=1)
    contestants[f"optlab, {len(parts)} runs, all cores"] = _native(parts)
    yield "updates per second of an MLP 64-64-10 on digits, batch 64, Adam"
    found = rates(contestants, rounds)
    for name, rate in found.items():
        yield f"  {name:<52}{rate:>10,.0f}{rate / found[PEER]:>8.1f}x"


def _native(parts: Sequence[Parts], threads: int | None = None) -> Contestant:
    own = [fresh(each) for each in parts]
    try:
        return stacked(own, Native(own, threads))
    except NotCompiled as reason:
        raise ConfigError(f"the programs of a sweep cannot be compiled here: {reason}") from reason


def _rows(parts: Sequence[Parts]) -> Tensor:
    """Return the whole batches of each run's first epoch, (R, K, B)."""
    epochs = [[rows for rows in each.sampler.epoch(0) if rows is not None] for each in parts]
    whole = [[rows for rows in epoch if len(rows) == BATCH] for epoch in epochs]
    return torch.stack([torch.stack(epoch) for epoch in whole])
