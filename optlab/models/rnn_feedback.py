"""A recurrent layer whose output, not only its hidden state, is fed back.

Shapes: batch B, time T, inputs I, hidden units H, outputs O, answered steps s.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.init import Initializer
from optlab.models.sequences import (
    check_answered_steps,
    check_inputs,
    checked_target_steps,
    one_hot,
)
from optlab.nn.dropout import Dropout, Rate, drop_probability
from optlab.nn.linear import Linear
from optlab.nn.recurrent.first_weights import RecurrentInit, fill_first_weights
from optlab.nn.recurrent.rnn import recurrent_initializer
from optlab.nn.recurrent.rnn_operation import Nonlinearity, recur


class FeedbackRNN(nn.Module):
    """Hidden units that see the output before them, in place of their own states or beside them.

        y(t) = W_yh h(t) + c
        h(t) = f(W_ih x(t) + W_hy y(t-1) + b)                    (Jordan, 1986)
        h(t) = f(W_ih x(t) + W_hy y(t-1) + W_hh h(t-1) + b)      with ``keep_hidden``

    The course notes' text describes the first, their formula hidden feedback alone (rows RNN-01
    and E29). As the output is affine, feeding it back is a recurrent matrix W_hy W_yh of rank O at
    most and a bias b + W_hy c, and so it is computed. y is what is fed back before dropout.

    Args:
        input_size: I.
        hidden_size: H.
        num_outputs: O.
        nonlinearity: f.
        keep_hidden: Whether hidden states are fed back as well.
        dropout: Drop probability of the states that are read out, or a kind of network.
        recurrent_init: How W_hy and W_hh start.
        recurrent_gain: Factor of these matrices, orthogonal or identity.
        learn_initial: Whether h(0), and y(0) with it, is learned, from 0 on; else h(0) stays 0.
        vocabulary: Number of symbols when inputs are tokens, which become one-hot.
        target_steps: s: how many steps to answer, counted from the end, or None: the last one,
            without that axis.

    Raises:
        ConfigError: For 0 steps to answer.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_outputs: int,
        nonlinearity: Nonlinearity = "tanh",
        *,
        keep_hidden: bool = False,
        dropout: Rate = 0.0,
        recurrent_init: RecurrentInit = "orthogonal",
        recurrent_gain: float = 1.0,
        learn_initial: bool = False,
        vocabulary: int | None = None,
        target_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.vocabulary, self.target_steps = vocabulary, checked_target_steps(target_steps)
        self._recurrent = recurrent_initializer(recurrent_init, recurrent_gain)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hy = nn.Parameter(torch.empty(hidden_size, num_outputs))
        square = torch.empty(hidden_size, hidden_size)
        self.weight_hh = nn.Parameter(square) if keep_hidden else None
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.initial = nn.Parameter(torch.zeros(hidden_size)) if learn_initial else None
        rate = drop_probability(dropout)
        self.dropout = Dropout(rate) if rate else nn.Identity()
        self.output = Linear(hidden_size, num_outputs)
        fill_first_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, O) or (B, s, O).

        Args:
            x: Sequences (B, T, I) or tokens (B, T).

        Raises:
            ConfigError: For inputs that are not what the model reads, or with fewer than s steps.
        """
        dtype = self.weight_ih.dtype
        x = one_hot(x, self.vocabulary, dtype)
        check_inputs(x, "T", self.weight_ih.shape[1], dtype=dtype)
        states, last = self._states(x)
        if self.target_steps is not None:
            check_answered_steps(x.shape[1], self.target_steps)
            last = states[:, -self.target_steps :]
        scores: Tensor = self.output(self.dropout(last))
        return scores

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the weights; the bias and the initial state become 0."""
        fill("weight_ih", self.weight_ih, None)
        fill("weight_hy", self.weight_hy, self._recurrent)
        if self.weight_hh is not None:
            fill("weight_hh", self.weight_hh, self._recurrent)
        self.bias.zero_()
        if self.initial is not None:
            self.initial.zero_()

    def _states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden states, (B, T, H), and the last, (B, H)."""
        # Under autocast a product of weights has another type than they have.
        recurrent = (self.weight_hy @ self.output.weight).to(self.weight_hy.dtype)
        if self.weight_hh is not None:
            recurrent = recurrent + self.weight_hh
        assert self.output.bias is not None
        bias = self.bias + self.weight_hy @ self.output.bias
        start = self.bias.new_zeros(len(self.bias)) if self.initial is None else self.initial
        arguments = (x.transpose(0, 1), start.expand(len(x), -1), self.weight_ih, recurrent, bias)
        runs = (argument.unsqueeze(0) for argument in arguments)
        states, last = recur(*runs, None, None, self.nonlinearity, False)
        return states.squeeze(0).transpose(0, 1), last.squeeze(0)
