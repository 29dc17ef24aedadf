"""What trains one run by itself: the quickest engine that takes it."""

from optlab.compiler import NotCompiled
from optlab.config import ConfigError
from optlab.train.native import Native
from optlab.train.parts import Parts
from optlab.train.stack.backend import Backend
from optlab.train.stack.ended import Ended
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential
from optlab.train.training import EachRecord, Emit


def backend_alone(parts: Parts) -> Backend:
    """Return what executes a run by itself.

    Compiled programs (`optlab.train.native`) train it exactly as they train it in a sweep; what
    they do not take is trained by PyTorch's operations.

    Args:
        parts: What the run is made of; ``trainer.engine`` says which engine, or ``auto``.

    Raises:
        ConfigError: When the engine that was asked for does not take the run.
    """
    engine = parts.trainer.engine
    if engine in ("auto", "native"):
        try:
            return Native([parts], threads=1)
        except NotCompiled as reason:
            if engine == "native":
                raise ConfigError(
                    f"trainer.engine=native cannot train this run: {reason}; use "
                    "trainer.engine=auto"
                ) from reason
    return Sequential([parts.run()])


def train_alone(parts: Parts, emit: Emit) -> tuple[Ended, str]:
    """Train a run; the module then holds the weights to use.

    Args:
        parts: What the run is made of.
        emit: Takes ``(update, epoch, {tag: value})`` of every record.

    Returns:
        How it ended, and how its updates were made; see `optlab.results.RunResult.execution`.

    Raises:
        ConfigError: When the engine that was asked for does not take the run.
    """
    backend = backend_alone(parts)
    (ended,) = StackTraining([parts], backend).fit(EachRecord(emit))
    return ended, backend.execution
