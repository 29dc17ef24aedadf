"""What a training needs to know of a run, besides what executes it."""

from collections.abc import Callable
from typing import Protocol

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.tasks.base import Data
from optlab.train.objective import Objective
from optlab.train.samplers import Sampler

Schedule = Callable[[int, int], float]


class Course(Protocol):
    """How a run is to be trained.

    Attributes:
        objective: What is minimized and measured.
        data: Encoded splits on the run's device.
        sampler: Rows of each update.
        trainer: Epochs, cadences and early stopping.
        diagnostics: What to measure inside the network, and how often.
        schedule: ``(update, num_updates) -> factor`` of the learning rate, updates from 0.
    """

    @property
    def objective(self) -> Objective:
        """What is minimized and measured."""
        ...

    @property
    def data(self) -> Data:
        """Encoded splits on the run's device."""
        ...

    @property
    def sampler(self) -> Sampler:
        """Rows of each update."""
        ...

    @property
    def trainer(self) -> TrainerConfig:
        """Epochs, cadences and early stopping."""
        ...

    @property
    def diagnostics(self) -> DiagnosticsConfig:
        """What to measure inside the network, and how often."""
        ...

    @property
    def schedule(self) -> Schedule:
        """``(update, num_updates) -> factor`` of the learning rate, updates from 0."""
        ...


def num_updates(course: Course) -> int:
    """Return the updates of a whole training, unless it stops early."""
    return course.trainer.epochs * course.sampler.updates_per_epoch
