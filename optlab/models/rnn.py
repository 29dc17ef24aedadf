"""The recurrent network of the runner, with the notes' ways to give it inputs and targets.

Shapes: time T, inputs I, hidden units H, given units k, outputs O, answered steps s.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from optlab.config import ConfigError, validate
from optlab.models.context import ModelContext
from optlab.models.recurrent import RecurrentModel
from optlab.models.rnn_feedback import FeedbackRNN
from optlab.models.rnn_units import Units
from optlab.models.sequences import check_answered_steps, numbers_of_row, step_size
from optlab.nn.dropout import Rate, drop_probability
from optlab.nn.recurrent.layers import RecurrentInit
from optlab.nn.recurrent.rnn import RNN
from optlab.nn.recurrent.rnn_operation import Nonlinearity
from optlab.registry import models
from optlab.types import Depth, Real, Width


@models.register("rnn")
@dataclass(frozen=True)
class RNNBuilder:
    """Makes the recurrent network that these options describe, for a task.

    The notes name three ways to give inputs (rows RNN-02 to RNN-04), beside their formula in which
    they enter through weights (RNN-01), and three to give targets (RNN-05 to RNN-07): final
    states of all units or of some (``outputs``), and those of the last steps (the task says so).

    Attributes:
        hidden: H, the units of a layer; of ``"clamped"`` inputs too, which are among them.
        layers: Number of layers.
        nonlinearity: What a unit makes of the sum of its inputs: its state.
        dropout: Drop probability of each layer's states as the next layer or the readout sees
            them, or a kind of network (row REG-09). States that are scores are never dropped.
        recurrent_init: How the matrix that carries the past starts.
        recurrent_gain: Factor of that matrix, orthogonal or identity.
        inputs: ``"weights"`` (a `RecurrentModel`), or the row's numbers are states of units:
            ``"initial"`` or, at every step, ``"clamped"`` (`Units`).
        outputs: ``"linear"``: an affine map reads the states out; ``"units"``: the scores are
            states of units themselves, of all where there are as many as scores.
        feedback: What a step has of the one before: ``"hidden"`` states, the ``"output"``
            (`FeedbackRNN`), or ``"both"``.
        steps: How long a network runs whose input has no time axis; else None.
        learn_initial: Whether initial states that are not given are learned.

    Raises:
        ConfigError: For options that do not go together, or not with the task.
    """

    hidden: Width = 64
    layers: Depth = 1
    nonlinearity: Nonlinearity = "tanh"
    dropout: Rate = 0.0
    recurrent_init: RecurrentInit = "orthogonal"
    recurrent_gain: Real = 1.0
    inputs: Literal["weights", "initial", "clamped"] = "weights"
    outputs: Literal["linear", "units"] = "linear"
    feedback: Literal["hidden", "output", "both"] = "hidden"
    steps: Depth | None = None
    learn_initial: bool = False

    def __post_init__(self) -> None:
        validate(self, "model")
        given, fed_back = self.inputs != "weights", self.feedback != "hidden"
        dropped, units = drop_probability(self.dropout) > 0, self.outputs == "units"
        clashes = {
            "inputs layers": given and self.layers > 1,
            "inputs feedback": given and fed_back,
            "outputs feedback": units and fed_back,
            "feedback layers": fed_back and self.layers > 1,
            "outputs dropout": units and dropped and self.layers == 1,
        }
        for names in (names.split() for names, clash in clashes.items() if clash):
            one, other = (f"model.{name}={getattr(self, name)}" for name in names)
            raise ConfigError(f"{one} does not go with {other}; leave one of them at its default")
        if not given and self.steps is not None:
            raise ConfigError(
                f"model.inputs=weights does not go with model.steps={self.steps}: it runs a step "
                "per input; choose model.inputs=initial or clamped, or leave model.steps out"
            )

    def __call__(self, context: ModelContext) -> nn.Module:
        """Build the network for a task."""
        if self.inputs != "weights":
            return self._of_units(context)
        size = step_size(context, "rnn")
        check_answered_steps(context.input_shape[0], context.target_steps)
        self._check_scores(context, self.hidden)
        return (
            self._of_layers(context, size)
            if self.feedback == "hidden"
            else self._fed_back(context, size)
        )

    def _of_layers(self, context: ModelContext, size: int) -> RecurrentModel:
        """Return layers that read the input at every step, ``size`` numbers."""
        rate, linear = drop_probability(self.dropout), self.outputs == "linear"
        layers = RNN(
            size,
            self.hidden,
            self.layers,
            self.nonlinearity,
            batch_first=True,
            dropout=rate if self.layers > 1 else 0.0,
            recurrent_init=self.recurrent_init,
            recurrent_gain=self.recurrent_gain,
        )
        return RecurrentModel(
            layers,
            context.num_outputs,
            readout=linear,
            dropout=rate if linear else 0.0,
            learn_initial=self.learn_initial,
            vocabulary=context.vocabulary,
            target_steps=context.target_steps,
        )

    def _fed_back(self, context: ModelContext, size: int) -> FeedbackRNN:
        """Return a layer that reads the input, ``size`` numbers, and the output before it."""
        return FeedbackRNN(
            size,
            self.hidden,
            context.num_outputs,
            self.nonlinearity,
            keep_hidden=self.feedback == "both",
            dropout=self.dropout,
            recurrent_init=self.recurrent_init,
            recurrent_gain=self.recurrent_gain,
            learn_initial=self.learn_initial,
            vocabulary=context.vocabulary,
            target_steps=context.target_steps,
        )

    def _of_units(self, context: ModelContext) -> Units:
        """Return one vector of units, of which the input gives some."""
        clamped = self.inputs == "clamped"
        over_time = clamped and (context.vocabulary is not None or len(context.input_shape) > 1)
        given = step_size(context, "rnn") if over_time else numbers_of_row(context)
        num_steps = self._num_steps(context, over_time)
        self._check_given(given, clamped)
        self._check_scores(context, self.hidden - given if clamped else self.hidden)
        check_answered_steps(num_steps, context.target_steps)
        return Units(
            self.hidden,
            given,
            context.num_outputs,
            self.nonlinearity,
            clamped=clamped,
            steps=self.steps,
            readout=self.outputs == "linear",
            dropout=self.dropout,
            recurrent_init=self.recurrent_init,
            recurrent_gain=self.recurrent_gain,
            learn_initial=self.learn_initial,
            vocabulary=context.vocabulary,
            target_steps=context.target_steps,
        )

    def _num_steps(self, context: ModelContext, over_time: bool) -> int:
        """Return how many steps a network runs whose input gives states of units."""
        if over_time and self.steps is not None:
            raise ConfigError(
                f"model.steps={self.steps} is for inputs without a time axis; the task's have "
                f"{context.input_shape[0]} time steps; leave model.steps out"
            )
        if not over_time and self.steps is None:
            raise ConfigError(
                f"model.inputs={self.inputs} needs model.steps, how long to run: an input gives "
                "no time axis (model.steps=8, say)"
            )
        return self.steps or context.input_shape[0]

    def _check_given(self, given: int, clamped: bool) -> None:
        """Refuse too few units for the input, and none left where some are needed."""
        rest = self.hidden - given
        if rest < 0 or (rest == 0 and clamped):
            raise ConfigError(
                f"model.inputs={self.inputs} gives the states of {given} units, and there are "
                f"{self.hidden}; give {'more than' if clamped else 'at least'} that (model.hidden)"
            )
        if rest == 0 and self.learn_initial:
            raise ConfigError(
                f"model.learn_initial=true would do nothing: the input gives the initial states of "
                f"all {given} units; leave it out, or give more units (model.hidden)"
            )

    def _check_scores(self, context: ModelContext, units: int) -> None:
        """Refuse more scores than there are units to read them from directly."""
        if self.outputs == "units" and context.num_outputs > units:
            raise ConfigError(
                f"model.outputs=units takes {context.num_outputs} scores from the states of "
                f"{units} units; give more units (model.hidden), or choose model.outputs=linear"
            )
