"""Recurrent layers and a readout: what the models rnn and lstm have in common.

Shapes: batch B, time T, inputs I, hidden H, layers L, directions D, kinds of state K (h; of an LSTM
h and c), outputs O, answered steps s.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.init import Initializer
from optlab.models.sequences import (
    check_answered_steps,
    check_inputs,
    check_scores_of_units,
    checked_target_steps,
    one_hot,
)
from optlab.nn.dropout import Dropout, Rate, drop_probability
from optlab.nn.linear import Linear
from optlab.nn.recurrent.layers import RecurrentLayers


class RecurrentModel(nn.Module):
    """Maps sequences (B, T, I) or tokens (B, T) to scores (B, O), or (B, s, O).

    One set of weights serves sequences of any length (course notes, row RNN-11). Parameters read
    ``recurrent.weight_ih_l0``, as torch calls those of layers, ``output.weight``, ``initial``.

    Args:
        layers: The recurrent layers, batch first.
        num_outputs: O.
        readout: Whether an affine map reads the last layer out; else the states of its first O
            units are the scores (rows RNN-05 and RNN-07).
        dropout: Drop probability of the states that are read out, or a kind of network.
        learn_initial: Whether the initial states are learned, from 0 on; else they stay 0 (row
            RNN-02). They lie flat, (K*L*D*H,): no penalty on weights is meant for states.
        vocabulary: Number of symbols when inputs are tokens, which become one-hot.
        target_steps: s: how many steps to answer, counted from the end (row RNN-06); None answers
            after the last, without that axis. In both directions of time a step's scores know
            all later inputs.

    Raises:
        ConfigError: For layers that are not batch first, for more scores than units to take them
            from where there is no readout, and for 0 steps.
    """

    def __init__(
        self,
        layers: RecurrentLayers,
        num_outputs: int,
        *,
        readout: bool = True,
        dropout: Rate = 0.0,
        learn_initial: bool = False,
        vocabulary: int | None = None,
        target_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.directions = 2 if layers.bidirectional else 1
        width = layers.hidden_size * self.directions
        if not layers.batch_first:
            raise ConfigError("layers must be batch first: make them with batch_first=True")
        if not readout:
            check_scores_of_units(num_outputs, width)
        self.recurrent = layers
        self.num_outputs, self.vocabulary = num_outputs, vocabulary
        self.target_steps = checked_target_steps(target_steps)
        rate = drop_probability(dropout)
        self.dropout = Dropout(rate) if rate else nn.Identity()
        self.output = Linear(width, num_outputs) if readout else nn.Identity()
        states = len(layers.state_names) * layers.num_layers * self.directions
        flat = torch.zeros(states * layers.hidden_size)
        self.initial = nn.Parameter(flat) if learn_initial else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, O) or (B, s, O).

        Raises:
            ConfigError: For inputs that are not what the model reads, or with fewer than s steps.
        """
        weight: Tensor = self.recurrent.weight_hh_l0  # type: ignore[assignment]
        x = one_hot(x, self.vocabulary, weight.dtype)
        check_inputs(x, "T", self.recurrent.input_size, dtype=weight.dtype)
        states, final = self._states(x)
        if self.target_steps is None:
            answered = final
        else:
            check_answered_steps(x.shape[1], self.target_steps)
            answered = states[:, -self.target_steps :]
        scores: Tensor = self.output(self.dropout(answered))
        return scores[..., : self.num_outputs]

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Leave the initial states at 0."""
        if self.initial is not None:
            self.initial.zero_()

    def _states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last layer's states, (B, T, D*H), and each direction's last, (B, D*H)."""
        initial = None
        if self.initial is not None:
            kinds, size = len(self.recurrent.state_names), self.recurrent.hidden_size
            states_of_each = self.initial.view(kinds, -1, 1, size)
            each = states_of_each.expand(-1, -1, x.shape[0], -1).unbind()
            initial = each if kinds > 1 else each[0]
        states, final = self.recurrent(x, initial)
        h: Tensor = final[0] if isinstance(final, tuple) else final
        return states, torch.cat([*h[-self.directions :]], -1)
