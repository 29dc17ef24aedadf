"""The contract of every logger, and the names of what is logged.

Tags:
    ==============================  ================================================================
    ``loss/train``                  mean training loss of the updates since the last record
    ``loss/val``                    validation loss; ``loss/test`` once, after training
    ``<metric>/<split>``            ``accuracy/train``, ``accuracy/val`` ...: every other metric
    ``lr``                          learning rate of the update, schedule included
    ``point/x<i>``                  coordinate i of the iterate, for test functions
    ``gradient_norm/<name>``        Euclidean norm of a parameter's gradient
    ``weight_norm/<name>``          Euclidean norm of a parameter
    ``update_ratio/<name>``         norm of a parameter's update over its norm before
    ``preactivation_gradient/<m>``  norm of the gradient of what layer m returns
    ``gradient_ratio/first_last``   norm of the first layer's weight gradient over the last's
    ``saturated/<m>``               share of rows and units with a slope below 0.01
    ``drift/<m>``                   change of mean and deviation of the inputs of activation m
    ``dead/<m>``                    share of units with slope 0 for every training row
    ``symmetric/<m>``               share of the units of layer m that are copies of another one
    ``batchnorm_drift/<m>``         distance of running statistics from the rows', in deviations
    ``gate_saturated/<m>.<gate>``   share of a gate's values within 0.01 of 0 or 1
    ``lag_gradient/<k>``            norm of dL/dx k steps before the end, of recurrent layers
    ``nonfinite``                   number of outputs and gradients that hold NaN or infinity
    ``nonfinite/<m>``               1 for the first: m, ``m.gradient``, or a parameter at the end
    ``verdict/<name>``              severity of a verdict, at the end of a run that has it
    ==============================  ================================================================

TensorBoard alone has what is no number: the texts ``model`` and ``verdicts``; the histograms
``weights/<name>`` and ``gradients/<name>``; and what a run draws at its end (`optlab.figures`):
``confusion``, ``samples``, ``path``, ``activations`` and ``first_weights``.

Steps count parameter updates from 0, before the first. Values may be nan or infinite.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from optlab.config.schema import LoggerConfig
from optlab.results import RunResult

TRAIN_LOSS = "loss/train"
VAL_LOSS = "loss/val"
VAL_ACCURACY = "accuracy/val"


#: How far a logger has written, for a process that goes on where this one ended.
Position = Mapping[str, Any]


class LostRecords(Exception):
    """Records that were written before are not there any more; the message says which."""


def require_position(since: Position, wanted: LoggerConfig) -> None:
    """Refuse to go on with files that were not written from the beginning.

    Raises:
        LostRecords: Naming the option that was off before.
    """
    for name in ("tensorboard", "table"):
        if getattr(wanted, name) and since.get(name) is None:
            raise LostRecords(f"logger.{name} was off before")


class Logger(Protocol):
    """A sink of one run's curves. A logger that cannot write raises; it never drops a record."""

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Record values by tag.

        Args:
            update: Updates made so far; does not decrease.
            epoch: The same in passes over the training rows.
            values: Python floats by tag.
        """
        ...

    def text(self, tag: str, markdown: str) -> None:
        """Record a text, where the logger can show one."""
        ...

    def finish(self, result: RunResult) -> None:
        """Record how the run ended; at most once, before `close`."""
        ...

    def close(self) -> None:
        """Write what is left and let go of files and terminal.

        Without `finish` before, the run counts as failed. A second call does nothing.
        """
        ...
