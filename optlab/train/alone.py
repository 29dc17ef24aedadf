"""One run by itself, through the quickest engine that takes it."""

from collections.abc import Mapping, Sequence

import numpy as np

from optlab.compiler import NotCompiled
from optlab.config import ConfigError
from optlab.train.native import Native
from optlab.train.parts import Parts
from optlab.train.recorder import Emit
from optlab.train.stack.ended import Ended
from optlab.train.stack.loop import StackTraining


def train_alone(parts: Parts, emit: Emit) -> tuple[Ended, str]:
    """Train a run; the module then holds the weights to use.

    Compiled programs (`optlab.train.native`) train it exactly as they train it in a sweep; what
    they do not take trains by the loop of one run.

    Args:
        parts: What the run is made of; ``trainer.engine`` says which engine, or ``auto``.
        emit: Takes ``(update, epoch, {tag: value})`` of every record.

    Returns:
        How it ended, and how its updates were made; see `optlab.results.RunResult.execution`.

    Raises:
        ConfigError: When the engine that was asked for does not take the run.
    """
    engine = parts.trainer.engine
    if engine in ("auto", "native"):
        try:
            backend = Native([parts], threads=1)
        except NotCompiled as reason:
            if engine == "native":
                raise ConfigError(
                    f"trainer.engine=native cannot train this run: {reason}; use "
                    "trainer.engine=auto"
                ) from reason
        else:
            (ended,) = StackTraining([parts], backend).fit(_Emitted(emit))
            return ended, backend.execution
    training = parts.training()
    outcome = training.fit(emit)
    splits = {name: getattr(parts.data, name) for name in ("train", "val", "test")}
    scores = {name: _averages(training.evaluate(split)) for name, split in splits.items()}
    return Ended(outcome, scores, None), training.run.execution


class _Emitted:
    """A `Sink` of one run that hands every record on by itself."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        self._emit(update, epoch, values)

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        for update, epoch, row in zip(updates, epochs, values[0].tolist(), strict=True):
            self._emit(update, epoch, dict(zip(tags, row, strict=True)))


def _averages(values: Mapping[str, float]) -> dict[str, float]:
    """Return the loss and metrics without states such as ``point/x0``."""
    return {name: value for name, value in values.items() if "/" not in name}
