"""What a run is made of, before anything executes it: alone, or beside others in a stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.optim.regularizers import Regularizer
from optlab.optim.rule import Hyper
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.tasks.base import Data
from optlab.train.course import Schedule, num_updates
from optlab.train.foreign import foreign_run
from optlab.train.functional import FunctionalRun
from optlab.train.objective import Objective
from optlab.train.plain import PlainRun
from optlab.train.run import Run
from optlab.train.samplers import Sampler
from optlab.train.stack.backend import Member
from optlab.train.training import Training


@dataclass(frozen=True)
class RuleChoice:
    """An optimizer of optlab's own kind.

    Attributes:
        make: The class that the rule belongs to, transforms included.
        hyper: Its hyperparameters.
    """

    make: type[RuleOptimizer]
    hyper: Hyper


@dataclass(frozen=True)
class Parts:
    """A run taken apart.

    Attributes:
        module: The model with its initial weights, on the run's device, in its dtype.
        objective: What is minimized and measured.
        data: Encoded splits on the run's device.
        num_outputs: Scores of the model for one row or time step.
        optimizer: A rule with its numbers, or the options of an optimizer of others.
        regularizer: Penalties, decay and clipping.
        sampler: Rows of each update.
        trainer: Epochs, cadences and early stopping.
        diagnostics: What to measure inside the network, and how often.
        schedule: ``(update, num_updates) -> factor`` of the learning rate, updates from 0.
        structure: Equal for runs whose modules and objectives differ in nothing but numbers in
            parameters and buffers.
    """

    module: nn.Module
    objective: Objective
    data: Data
    num_outputs: int
    optimizer: RuleChoice | Mapping[str, Any]
    regularizer: Regularizer
    sampler: Sampler
    trainer: TrainerConfig
    diagnostics: DiagnosticsConfig
    schedule: Schedule
    structure: str

    @property
    def num_updates(self) -> int:
        """Updates of the whole training, unless it stops early."""
        return num_updates(self)

    def row_gradients(self, member: Member, updates: int) -> int:
        """Return how many gradients of rows the updates took of the run that a member is."""
        repeated = member.repeated_rows if isinstance(member, PlainRun) else 0
        return self.sampler.rows_of(updates) + repeated

    def run(self) -> Run:
        """Return the run that trains the module alone.

        Raises:
            ConfigError: When the optimizer cannot be made, or cannot train this module.
        """
        module, objective, rows, regularizer = (
            *(self.module, self.objective),
            *(self.data.train, self.regularizer),
        )
        chosen = self.optimizer
        if not isinstance(chosen, RuleChoice):
            return foreign_run(chosen, module, objective, rows, regularizer)
        if self.trainer.engine == "plain":
            own = chosen.make.from_hyper(module.parameters(), chosen.hyper)
            return PlainRun(module, objective, rows, own, regularizer)
        return FunctionalRun(module, objective, rows, chosen.make.rule, chosen.hyper, regularizer)

    def training(self) -> Training:
        """Return the training of this run alone."""
        return Training(
            self.run(), self.data, self.sampler, self.trainer, self.diagnostics, self.schedule
        )
