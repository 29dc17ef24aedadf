"""From runs as they are given to blocks, in which what runs share is done once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim.trial import require_sound
from optlab.tasks.base import Split
from optlab.train.parts import Parts
from optlab.train.stack.vmapped import program
from optlab.train.stack.vmapped.block import Block, Source, stacked
from optlab.train.stack.vmapped.function import Function
from optlab.train.stack.vmapped.refusal import NotStackable
from optlab.train.stack.vmapped.update import Update, update_of


def blocks_of(parts: Sequence[Parts]) -> list[Block]:
    """Return runs at their start, side by side where their weights have the same shapes.

    Raises:
        NotStackable: When an optimizer is no rule, or `torch.vmap` refuses a network or a rule.
        ConfigError: When a rule is not what a rule must be.
    """
    updates: dict[Any, Update] = {}
    functions: dict[str, Function] = {}
    sources: defaultdict[Any, list[Source]] = defaultdict(list)
    for run, part in enumerate(parts):
        update, structure = update_of(part), part.structure
        if structure not in functions:
            functions[structure] = Function(part.module, part.objective)
        source = Source(run, updates.setdefault(update.kind, update), functions[structure])
        sources[_layout(part.module)].append(source)
    order = {id(kind): i for i, kind in enumerate([*updates.values(), *functions.values()])}
    blocks = []
    for group in sources.values():
        group.sort(key=lambda s: (order[id(s.update)], order[id(s.function)], s.run))
        blocks.append(stacked(group, parts))
        _require_sound_rules(blocks[-1])
        _require_vmap(blocks[-1], parts[0].data.train, parts[0].sampler.batch_size)
    return blocks


def _layout(module: nn.Module) -> tuple[Any, ...]:
    """Return names, shapes and dtypes of a module's parameters and buffers."""
    kinds = (module.named_parameters(), module.named_buffers())
    return tuple(tuple((n, tuple(t.shape), t.dtype) for n, t in kind) for kind in kinds)


def _require_sound_rules(block: Block) -> None:
    """Try each rule of a block on small tensors, as a run alone does."""
    for part in block.slices:
        params = [param[part.start] for param in block.tensors.params.values()]
        require_sound(part.update.rule, part.update.hyper, params)


def _require_vmap(block: Block, train: Split, batch_size: int) -> None:
    """Try one update and an evaluation of one run of every kind, and throw them away."""
    trial, x, y = block.keep(block.one_of_each()), train.x[:batch_size], train.y[:batch_size]
    factors = torch.ones(len(trial), dtype=torch.float64, device=x.device)
    try:
        with torch.no_grad():
            _, grads = program.advance(trial, trial.tensors, x, y, None, factors)
            program.finish(trial, grads, factors)
            params = program.iterates(trial, factors)
            program.evaluate(trial, trial.tensors, params, x, y)
    except (ConfigError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        raise NotStackable(
            f"torch.vmap refuses the network or the rule: {type(error).__name__}: {reason}"
        ) from error
