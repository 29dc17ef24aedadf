"""How one run's training stands between its updates, and how it ended."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from optlab.config.schema import TrainerConfig
from optlab.train.early_stopping import EarlyStopping
from optlab.train.stack.backend import Member


class Diverged(Exception):
    """The loss stopped being a finite number.

    Attributes:
        update: Number of the update, counted from 1, whose batch gave that loss.
        value: The loss.
    """

    def __init__(self, update: int, value: float, split: str = "training") -> None:
        self.update = update
        self.value = value
        super().__init__(f"the {split} loss became {value} at update {update}")


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        status: ``"done"`` or ``"diverged"``.
        cause: What made it diverge, or why it stopped before the last epoch.
        updates: Updates made. A loss that is not finite is found when records are made; ``cause``
            names its update.
        epochs: The same in passes over the training rows.
        best_epoch: Epoch of the lowest validation loss.
        best_val: Validation loss and metrics of that epoch.
        train_s: Seconds of training alone, the device's work included: evaluation, logging and
            set-up are off the clock. Runs of a stack train at the same time, and none has a time
            of its own: each is given an equal share of every stretch that it took part in.
    """

    status: str = "done"
    cause: str | None = None
    updates: int = 0
    epochs: float = 0.0
    best_epoch: float = 0.0
    best_val: Mapping[str, float] = field(default_factory=dict)
    train_s: float = 0.0


class Standing:
    """The outcome so far, early stopping and the best weights of one run.

    Attributes:
        outcome: What is known of it so far.
        best_weights: `Member.snapshot` of the best evaluation, where it is wanted.
    """

    def __init__(self, trainer: TrainerConfig) -> None:
        self._trainer = trainer
        self._stopping = EarlyStopping(trainer.patience, trainer.min_delta)
        self.outcome = Outcome()
        self.best_weights: Any = None

    def state(self) -> dict[str, Any]:
        """Return all of it: tensors, numbers and texts."""
        outcome = asdict(self.outcome) | {"best_val": dict(self.outcome.best_val)}
        stopping = asdict(self._stopping)
        return {"outcome": outcome, "stopping": stopping, "best_weights": self.best_weights}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.outcome = Outcome(**state["outcome"])
        self._stopping = EarlyStopping(**state["stopping"])
        self.best_weights = state["best_weights"]

    @property
    def restores_best(self) -> bool:
        """Whether the run ends with the weights of its best evaluation."""
        return self._trainer.patience is not None and self._trainer.restore_best

    @property
    def ends_with_best(self) -> bool:
        """Whether the weights to use are those of an earlier evaluation."""
        return self.restores_best and self.best_weights is not None

    def judge(self, epoch: int, values: Mapping[str, float]) -> bool:
        """Take an evaluation on the validation split; return whether it is the best so far.

        Raises:
            Diverged: When its loss is not finite.
        """
        loss = values["loss"]
        if not math.isfinite(loss):
            raise Diverged(self.outcome.updates, loss, "validation")
        is_best = self._stopping.update(loss)
        if is_best:
            self.outcome.best_epoch, self.outcome.best_val = float(epoch), values
        return is_best

    def stops_early(self) -> bool:
        """Return whether early stopping ends the training now, and note why."""
        if not self._stopping.should_stop:
            return False
        # Before the last epoch, evaluation i is of epoch i * eval_every.
        since = self._stopping.improved_index * self._trainer.eval_every
        delta = self._trainer.min_delta
        margin = f" by more than {delta:g}" if delta else ""
        self.outcome.cause = f"no better validation loss{margin} since epoch {since}"
        return True

    def end_diverged(self, diverged: Diverged) -> None:
        """End the outcome at a loss that was not finite."""
        self.outcome.status, self.outcome.cause = "diverged", str(diverged)

    def settle(self, run: Member) -> None:
        """Leave in the module the weights to use: the best ones if wanted, else the iterate."""
        if self.ends_with_best:
            run.restore(self.best_weights)
            return
        with run.at_iterate():
            weights = run.snapshot()
        run.restore(weights)
