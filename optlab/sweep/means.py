"""By what an array of a sweep's runs is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from optlab.sweep.engine import Engine
from optlab.train.native import Native
from optlab.train.parts import Parts
from optlab.train.stack import Backend
from optlab.train.stack.sequential import Sequential
from optlab.train.stack.vmapped import Vmapped

Checkpoint = Literal["none", "last", "best"]


@dataclass(frozen=True)
class Means:
    """By what, and how, an array is trained.

    Attributes:
        engine: What trains the runs.
        reason: Why they are not stacked, where they are not.
        checkpoint: Weights that each run leaves in its folder.
        threads: Runs that compiled programs advance at once; None for one per core.
        shown: Numbers of the runs that TensorBoard is given; None for all.
    """

    engine: Engine
    reason: str = ""
    checkpoint: Checkpoint = "none"
    threads: int | None = None
    shown: Sequence[int] | None = None


def backend_of(means: Means, parts: Sequence[Parts]) -> Backend:
    """Return what executes the runs.

    Raises:
        NotNative, NotStackable: When they cannot be executed so.
    """
    if means.engine == "native":
        return Native(parts, means.threads)
    if means.engine == "single":
        return Sequential([part.run() for part in parts])
    return Vmapped(parts, is_compiled=means.engine == "compiled")
