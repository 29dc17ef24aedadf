"""One vector of recurrent units, each connected to each, whose input is the state of some.

Shapes: batch B, time T, units N, given units k, outputs O, answered steps s.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
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
from optlab.nn.recurrent.first_weights import RecurrentInit, fill_first_weights
from optlab.nn.recurrent.rnn import recurrent_initializer
from optlab.nn.recurrent.rnn_operation import Nonlinearity, recur
from optlab.types import Depth


class Units(nn.Module):
    """N units with states s(t) = f(W s(t-1) + b), the first k of them given by the input.

    Given **initially**, the row's k numbers stand in s(0); the other entries of s(0) are 0 or
    learned (course notes, rows RNN-02, with k = N, and RNN-03). All units then run for ``steps``
    steps, and all can be read out.

    **Clamped**, the first k units have the states x(t) at every step, and the others follow

        h(t) = f(W_hx x(t) + W_hh h(t-1) + b_h),     W = [[ .    .  ],  b = [ . ],
                                                          [W_hx W_hh]]      [b_h]

    which is the notes' formula with W_hx read from the same matrix (row RNN-04). Only these others
    can be read out; what W, b and s(0) say about given states has no effect and no gradient.

    Args:
        num_units: N.
        num_given: k.
        num_outputs: O.
        nonlinearity: f.
        clamped: Whether the input gives states at every step, (B, T, k), or (B, k) held for all
            ``steps``; else it gives initial ones, (B, ...) of k numbers laid flat.
        steps: How many steps to run; None for clamped inputs with a time axis.
        readout: Whether an affine map reads the states out; else those of the first O units (that
            are not clamped) are the scores (rows RNN-05 and RNN-07).
        dropout: Drop probability of states that are read out by the map, or a kind of network.
        recurrent_init: How W starts.
        recurrent_gain: Factor of that matrix, orthogonal or identity.
        learn_initial: Whether initial states that are not given are learned, from 0 on.
        vocabulary: Number of symbols when inputs are tokens, which become one-hot.
        target_steps: s: how many steps to answer, counted from the end (row RNN-06), or None: the
            last one, without that axis.

    Raises:
        ConfigError: For inputs that neither have a time axis nor ``steps``, for more units given,
            or more scores asked of units, than there are, and for 0 steps to run or to answer.
    """

    def __init__(
        self,
        num_units: int,
        num_given: int,
        num_outputs: int,
        nonlinearity: Nonlinearity = "tanh",
        *,
        clamped: bool,
        steps: int | None,
        readout: bool = True,
        dropout: Rate = 0.0,
        recurrent_init: RecurrentInit = "orthogonal",
        recurrent_gain: float = 1.0,
        learn_initial: bool = False,
        vocabulary: int | None = None,
        target_steps: int | None = None,
    ) -> None:
        super().__init__()
        if steps is None and not clamped:
            raise ConfigError("initial states have no time axis: say how many steps to run (steps)")
        if num_given > num_units - clamped:
            raise ConfigError(
                f"{num_given} states are given for {num_units} units; give more units"
            )
        width = num_units - num_given if clamped else num_units
        if not readout:
            check_scores_of_units(num_outputs, width)
        self.num_given, self.num_outputs, self.nonlinearity = num_given, num_outputs, nonlinearity
        self.clamped, self.steps = clamped, check_value(steps, Depth | None, "steps")
        self.vocabulary, self.target_steps = vocabulary, checked_target_steps(target_steps)
        self._recurrent = recurrent_initializer(recurrent_init, recurrent_gain)
        self.weight = nn.Parameter(torch.empty(num_units, num_units))
        self.bias = nn.Parameter(torch.zeros(num_units))
        self.initial = nn.Parameter(torch.zeros(num_units)) if learn_initial else None
        rate = drop_probability(dropout) if readout else 0.0
        self.dropout = Dropout(rate) if rate else nn.Identity()
        self.output = Linear(width, num_outputs) if readout else nn.Identity()
        fill_first_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, O) or (B, s, O).

        Raises:
            ConfigError: For inputs that are not what the model reads, or with fewer than s steps.
        """
        x = one_hot(x, self.vocabulary, self.weight.dtype)
        x = x if self.clamped or x.ndim < 2 else x.flatten(1)
        over_time = ("T",) if self.steps is None else ()
        check_inputs(x, *over_time, self.num_given, dtype=self.weight.dtype)
        states, last = self._clamped(x) if self.clamped else self._free(x)
        if self.target_steps is not None:
            check_answered_steps(states.shape[0], self.target_steps)
            last = states[-self.target_steps :].transpose(0, 1)
        scores: Tensor = self.output(self.dropout(last))
        return scores[..., : self.num_outputs]

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill W; the bias and the initial states become 0."""
        fill("weight", self.weight, self._recurrent)
        self.bias.zero_()
        if self.initial is not None:
            self.initial.zero_()

    def _free(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (T, B, N) and the last ones (B, N) that initial ones (B, k) lead to."""
        start = torch.cat([given, self._initial(given)], 1)
        nothing = given.new_zeros(self.steps or 0, len(given), 0)
        return self._run(nothing, start, self.weight[:, :0], self.weight, self.bias)

    def _clamped(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (T, B, N - k) of the others, and the last ones (B, N - k)."""
        if self.steps is not None:
            x = given.expand(self.steps, *given.shape)
        else:
            x = given.transpose(0, 1)
        k = self.num_given
        rows = self.weight[k:]
        return self._run(x, self._initial(x[0]), rows[:, :k], rows[:, k:], self.bias[k:])

    def _initial(self, given: Tensor) -> Tensor:
        """Return the initial states (B, N - k) of the units whose state is not given, (B, k)."""
        if self.initial is None:
            return given.new_zeros(len(given), len(self.weight) - self.num_given)
        return self.initial[self.num_given :].expand(len(given), -1)

    def _run(
        self, x: Tensor, start: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        tensors = (tensor.unsqueeze(0) for tensor in (x, start, weight_ih, weight_hh, bias))
        states, last = recur(*tensors, None, None, self.nonlinearity, False)
        return states.squeeze(0), last.squeeze(0)
