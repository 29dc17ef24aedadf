"""What only shows when data and network meet: a few rows are sent through before training."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from optlab.build.sections import Config, section
from optlab.config import ConfigError
from optlab.tasks.base import Data
from optlab.train import Sampler

#: What PyTorch says on the CPU of a tensor that is larger than memory, or than addresses go.
TOO_LARGE = ("can't allocate memory", "not enough memory", "overflow")


@contextmanager
def refusing_too_large(config: Config, name: str) -> Iterator[None]:
    """Say which section asked for more than there is memory.

    Raises:
        ConfigError: Naming the section's whole numbers, one of which is too large.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in TOO_LARGE):
            raise
        choice, options = section(config, name)
        sizes = [f"{name}.{key}={value}" for key, value in options.items() if _is_size(value)]
        raise ConfigError(
            f"{name}={choice} needs more memory than there is; make it smaller: {', '.join(sizes)}"
        ) from error


def _is_size(value: object) -> bool:
    return type(value) is int or (isinstance(value, list | tuple) and bool(value))


def refuse_other_scores(module: nn.Module, data: Data, outputs: int, model: str) -> None:
    """Refuse a model whose scores do not have the shape that the task's targets ask for."""
    steps = () if data.target_steps is None else (data.target_steps,)
    splits = {part.x.shape[1:]: part.x[:2] for part in (data.test, data.val, data.train)}
    for shape, rows in splits.items():
        wanted = (len(rows), *steps, outputs)
        try:
            with torch.no_grad():
                given = tuple(module.eval()(rows).shape)
        except (RuntimeError, ConfigError) as error:
            if shape == data.input_shape:
                raise
            raise ConfigError(
                f"model {model!r} is built for inputs of shape {data.input_shape} and cannot take "
                f"those of shape {tuple(shape)} that the task has elsewhere: {error}"
            ) from error
        if given != wanted:
            raise ConfigError(
                f"model {model!r} gives scores of shape {given} for {len(rows)} rows, and the task "
                f"needs {wanted}: (rows, {'last time steps, ' if steps else ''}outputs); choose "
                "another model for it"
            )
    module.train()


def refuse_single_row_statistics(module: nn.Module, rows: Tensor, sampler: Sampler) -> None:
    """Refuse a batch of one row, before the first epoch ends in one, where statistics need two."""
    if (sampler.num_rows % sampler.batch_size or sampler.batch_size) > 1:
        return
    try:
        with torch.no_grad():
            copy.deepcopy(module).train()(rows[:1])
    except ConfigError as error:
        raise ConfigError(
            f"{sampler.num_rows} rows in batches of {sampler.batch_size} leave a batch of one row: "
            f"{error}"
        ) from error
