"""The long short-term memory network of the runner."""

from torch import nn

from optlab.config import ConfigError
from optlab.models.context import ModelContext
from optlab.models.recurrent import RecurrentModel
from optlab.models.sequences import check_answered_steps, step_size
from optlab.nn.dropout import Rate, drop_probability
from optlab.nn.recurrent.layers import RecurrentInit
from optlab.nn.recurrent.lstm import LSTM
from optlab.registry import models
from optlab.types import Depth, Real, Width


@models.register("lstm")
def build_lstm(
    context: ModelContext,
    *,
    hidden: Width = 64,
    layers: Depth = 1,
    dropout: Rate = 0.0,
    bidirectional: bool = False,
    forget_bias: Real = 1.0,
    recurrent_init: RecurrentInit = "orthogonal",
) -> nn.Module:
    """Build an LSTM with an affine readout for a task of sequences (course notes, row LST-08).

    In both directions of time, the one score per input is read from what each direction ends with.

    Raises:
        ConfigError: For a task whose inputs have no time axis, and for both directions where
            several steps are answered.
    """
    if bidirectional and context.target_steps is not None:
        raise ConfigError(
            f"model.bidirectional=true does not go with a task that asks for the last "
            f"{context.target_steps} steps: read from the end, a step's scores know all later "
            "inputs, and so what is asked (the next character, say); leave it out"
        )
    size, rate = step_size(context, "lstm"), drop_probability(dropout)
    check_answered_steps(context.input_shape[0], context.target_steps)
    recurrent = LSTM(
        size,
        hidden,
        layers,
        batch_first=True,
        dropout=rate if layers > 1 else 0.0,
        bidirectional=bidirectional,
        forget_bias=forget_bias,
        recurrent_init=recurrent_init,
    )
    return RecurrentModel(
        recurrent,
        context.num_outputs,
        dropout=rate,
        vocabulary=context.vocabulary,
        target_steps=context.target_steps,
    )
