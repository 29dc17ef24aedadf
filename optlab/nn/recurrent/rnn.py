"""Simple recurrent layers (Elman, 1990): the state is a function of itself and of the input.

Shapes: time T, batch B, inputs I, hidden H, layers L, directions D (1 or 2).
"""

import functools
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from optlab.config import ConfigError, check_value
from optlab.init import Initializer
from optlab.nn.recurrent.checks import check_states, checked_dtype
from optlab.nn.recurrent.first_weights import (
    RECURRENT_INITIALIZERS,
    RecurrentInit,
    fill_first_weights,
)
from optlab.nn.recurrent.layers import RecurrentLayers, States, Weights
from optlab.nn.recurrent.rnn_operation import Nonlinearity, recur
from optlab.types import Count, Decay, Real


def recurrent_initializer(rule: RecurrentInit, gain: float) -> Initializer | None:
    """Return what fills a recurrent matrix; None stands for the rule of all other weights.

    Args:
        rule: ``"orthogonal"``, ``"identity"`` or ``"same"`` as other weights.
        gain: Factor of the matrix.

    Raises:
        ConfigError: For a gain other than 1 with ``"same"``, which would do nothing.
    """
    gain = check_value(gain, Real, "recurrent_gain")
    initializer = RECURRENT_INITIALIZERS[check_value(rule, RecurrentInit, "recurrent_init")]
    if initializer is not None:
        return functools.partial(initializer, gain=gain)  # type: ignore[call-arg]
    if gain != 1:
        raise ConfigError(
            f"recurrent_gain={gain:g} would do nothing with recurrent_init=same; choose "
            "recurrent_init=orthogonal or identity, or leave the gain out"
        )
    return None


class RNN(RecurrentLayers):
    """h(t) = f(W_ih x(t) + b_ih + W_hh h(t-1) + b_hh), in `RecurrentLayers`.

    The arguments of `torch.nn.RNN` in its order, then ours. Course notes, rows RNN-01 and RNN-14:
    h(t) = f_C(h(t-1), x(t)) with one set C of weights for all steps (row RNN-11).

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L.
        nonlinearity: f: ``"tanh"``, ``"relu"``, or ``"identity"`` (ours), a linear network.
        bias: Whether there are biases.
        batch_first: Whether inputs and outputs are (B, T, ...).
        dropout: Drop probability between layers.
        bidirectional: Whether each layer also reads from the end.
        device: Where to keep the parameters.
        dtype: Their type.
        recurrent_init: How W_hh starts: ``"orthogonal"``, ``"identity"`` (with relu the IRNN of Le
            et al., 2015), or ``"same"`` as the other weights.
        recurrent_gain: Factor of that orthogonal or identity matrix: per step a linear network
            multiplies states and gradients by it (row GRD-07).

    Raises:
        ConfigError: For options out of range, or a gain with ``recurrent_init="same"``.
    """

    gates: ClassVar[tuple[str, ...]] = ("state",)
    state_names: ClassVar[tuple[str, ...]] = ("h0",)

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        num_layers: Count = 1,
        nonlinearity: Nonlinearity = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: Decay = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_init: RecurrentInit = "orthogonal",
        recurrent_gain: Real = 1.0,
    ) -> None:
        self.nonlinearity = check_value(nonlinearity, Nonlinearity, "nonlinearity")
        # The base fills the weights, by this.
        self.recurrent_gain = recurrent_gain
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
        )

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Return the last layer's states of all steps and the last states of all layers.

        Args:
            input: (T, B, I), (B, T, I) if ``batch_first``, (T, I), or a packed batch.
            hx: Initial states (L*D, B, H), or (L*D, H) without a batch; 0 if None.
            lengths: Number of steps of each sequence of a padded batch, (B,); see
                `RecurrentLayers.run`.

        Returns:
            (T, B, D*H) in the form of ``input``, and (L*D, B, H) in that of ``hx``.

        Raises:
            ConfigError: For a shape or dtype that does not fit.
        """
        outputs, (final,) = self.run(input, None if hx is None else (hx,), lengths)
        return outputs, final

    def one_direction(
        self, x: Tensor, states: States, weights: Weights, lengths: Tensor | None, reverse: bool
    ) -> tuple[Tensor, States]:
        """Run one direction of one layer."""
        outputs, final = recur(x, *states, *weights, lengths, self.nonlinearity, reverse)
        return outputs, (final,)

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the weights, the recurrent ones with their gain, and set the biases to 0."""
        recurrent = recurrent_initializer(self.recurrent_init, self.recurrent_gain)
        super().initialize_(lambda name, tensor, other: fill(name, tensor, other and recurrent))

    def extra_repr(self) -> str:
        """Return the sizes and the options, for ``print(module)``."""
        return f"{super().extra_repr()}, nonlinearity={self.nonlinearity}"


class RNNCell(nn.Module):
    """One step of an `RNN` of one layer: h' = f(W_ih x + b_ih + W_hh h + b_hh).

    The arguments of `torch.nn.RNNCell` in its order, then ours; parameters ``weight_ih`` (H, I),
    ``weight_hh`` (H, H), ``bias_ih`` and ``bias_hh`` (H,) as there. Initial weights as in `RNN`.

    Args:
        input_size: I.
        hidden_size: H.
        bias: Whether there are biases.
        nonlinearity: f: ``"tanh"``, ``"relu"`` or ``"identity"``.
        device: Where to keep the parameters.
        dtype: Their type.
        recurrent_init: As in `RNN`.
        recurrent_gain: As in `RNN`.

    Raises:
        ConfigError: For options out of range, or a gain with ``recurrent_init="same"``.
    """

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        bias: bool = True,
        nonlinearity: Nonlinearity = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_init: RecurrentInit = "orthogonal",
        recurrent_gain: Real = 1.0,
    ) -> None:
        super().__init__()
        self.input_size = check_value(input_size, Count, "input_size")
        self.hidden_size = check_value(hidden_size, Count, "hidden_size")
        self.nonlinearity = check_value(nonlinearity, Nonlinearity, "nonlinearity")
        self._recurrent = recurrent_initializer(recurrent_init, recurrent_gain)
        dtype = checked_dtype(dtype)

        def empty(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.weight_ih = empty(hidden_size, input_size)
        self.weight_hh = empty(hidden_size, hidden_size)
        self.bias_ih = empty(hidden_size) if bias else None
        self.bias_hh = empty(hidden_size) if bias else None
        fill_first_weights(self)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the state after a step, (B, H) or (H,).

        Args:
            input: (B, I), or (I,) without a batch.
            hx: State before, (B, H) or (H,); 0 if None.

        Raises:
            ConfigError: For a shape or dtype that does not fit.
        """
        batch = input.shape[:-1]
        self._check("input", input, (*batch, self.input_size))
        if hx is None:
            hx = input.new_zeros(*batch, self.hidden_size)
        check_states(("hx",), (hx,), (*batch, self.hidden_size), input)
        x, state = input.reshape(1, 1, -1, self.input_size), hx.reshape(1, -1, self.hidden_size)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        runs = (None if weight is None else weight.unsqueeze(0) for weight in weights)
        _, last = recur(x, state, *runs, None, self.nonlinearity, False)
        return last.view(hx.shape)

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the weights and set the biases to 0."""
        fill("weight_ih", self.weight_ih, None)
        fill("weight_hh", self.weight_hh, self._recurrent)
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                bias.zero_()

    def extra_repr(self) -> str:
        """Return the sizes and the options, for ``print(module)``."""
        bias = self.bias_ih is not None
        return f"{self.input_size}, {self.hidden_size}, {bias=}, nonlinearity={self.nonlinearity}"

    def _check(self, name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
        if len(shape) > 2 or tensor.shape != shape or tensor.dtype != self.weight_ih.dtype:
            wanted = f"(B, {shape[-1]}) or ({shape[-1]},)" if len(shape) > 2 else shape
            raise ConfigError(
                f"{name} must be {wanted} of {self.weight_ih.dtype}, the parameters' dtype, got "
                f"{tuple(tensor.shape)} of {tensor.dtype}"
            )
