"""Long short-term memory (Hochreiter and Schmidhuber, 1997).

Shapes: time T, batch B, inputs I, hidden H, layers L, directions D (1 or 2).
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from optlab.config import ConfigError, check_value
from optlab.nn.recurrent.first_weights import RecurrentInit
from optlab.nn.recurrent.layers import RecurrentLayers, States, Weights
from optlab.nn.recurrent.lstm_operation import gates_of, lstm_direction
from optlab.nn.recurrent.sequences import padding
from optlab.types import Count, Decay, Real

HiddenAndCell = tuple[Tensor, Tensor]


class Gates(NamedTuple):
    """What the gates of an LSTM let through, (L*D, T, B, H) each.

    Attributes:
        i: Input gate, in [0, 1].
        f: Forget gate, in [0, 1]: 1 keeps.
        g: New information, in [-1, 1].
        o: Output gate, in [0, 1].
    """

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor


class LSTM(RecurrentLayers):
    """A cell state c behind gates, which information and gradients pass many steps unchanged.

    In every step::

        i, f, o = sigmoid(W x(t) + U h(t-1) + b), each with its own W, U and b
        g = tanh(W x(t) + U h(t-1) + b)
        c(t) = f * c(t-1) + i * g
        h(t) = o * tanh(c(t))

    The arguments of `torch.nn.LSTM` in its order, then ours. The rows of weights and biases are
    those of i, f, g, o, in this order, as in torch. What the layers share stands in
    `RecurrentLayers`, and so do names and first values of the parameters.

    Source: Hochreiter and Schmidhuber, 1997; Gers et al., 2000, for f; course notes, rows LST-01
    to LST-04. A large ``forget_bias`` is what lets it learn long lags (Jozefowicz et al., 2015;
    rows LST-05 and LST-06).

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bias: Whether there are biases.
        batch_first: Whether inputs and outputs are (B, T, ...).
        dropout: Drop probability between layers.
        bidirectional: Whether each layer also reads from the end.
        proj_size: Only 0: projections of h are not supported.
        device: Where to keep the parameters.
        dtype: Their type.
        forget_bias: What the forget gate's bias starts from: it stands in ``bias_ih``, and
            ``bias_hh`` is 0 there, so that the sum of torch's two biases is this number. All other
            biases start at 0, and this one too if it is None.
        recurrent_init: How the block of each gate in ``weight_hh`` starts.

    Raises:
        ConfigError: For options out of range, and a ``forget_bias`` without biases.
    """

    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    state_names: ClassVar[tuple[str, ...]] = ("h0", "c0")

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        num_layers: Count = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: Decay = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        forget_bias: Real | None = None,
        recurrent_init: RecurrentInit = "orthogonal",
    ) -> None:
        if proj_size != 0:
            raise ConfigError(
                f"proj_size must be 0, got {proj_size}; put a Linear layer behind the LSTM instead"
            )
        # The base fills the biases, by this.
        self.forget_bias = checked_forget_bias(forget_bias, bias)
        self._watched: list[Tensor] | None = None
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
        hx: HiddenAndCell | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, HiddenAndCell]:
        """Return the last layer's h of all steps, and the last h and c of all layers.

        Args:
            input: (T, B, I), (B, T, I) if ``batch_first``, (T, I), or a packed batch.
            hx: Initial h and c, (L*D, B, H) each, or (L*D, H) without a batch; 0 if None.
            lengths: Number of steps of each sequence of a padded batch, (B,); see
                `RecurrentLayers.run`.

        Returns:
            h, (T, B, D*H) in the form of ``input``; last h and c, (L*D, B, H) in that of ``hx``.

        Raises:
            ConfigError: For a shape or dtype that does not fit.
        """
        outputs, (h_n, c_n) = self.run(input, hx, lengths)
        return outputs, (h_n, c_n)

    def one_direction(
        self, x: Tensor, states: States, weights: Weights, lengths: Tensor | None, reverse: bool
    ) -> tuple[Tensor, States]:
        """Run one direction of one layer."""
        keep = torch.is_grad_enabled()
        h, h_n, c_n = lstm_direction(x, *states, *weights, lengths, reverse, keep)
        if self._watched is not None:
            self._watched.append(gates_of(x, states[0], *weights, reverse, h))
        return h, (h_n, c_n)

    def gate_activities(
        self, input: Tensor, hx: HiddenAndCell | None = None, lengths: Tensor | None = None
    ) -> Gates:
        """Return what the gates let through in evaluation, without gradients.

        A gate near 0 or 1 is saturated, and little gradient passes its weights; f near 1 is what
        carries the gradient of c. Course notes, rows LST-02 to LST-04 and GRD-01.

        Args:
            input: As in `forward`, but not packed.
            hx: As in `forward`.
            lengths: As in `forward`; past the end of a sequence gates are given as 0.

        Returns:
            Gates (L*D, T, B, H) each, with layers outside and directions inside, B = 1 without a
            batch; whatever ``batch_first``, time stands before the batch.

        Raises:
            ConfigError: As `forward`, and for a packed batch.
        """
        if isinstance(input, PackedSequence):
            raise ConfigError(
                "gate_activities takes a padded batch and its lengths, got a PackedSequence; "
                "unpack it with torch.nn.utils.rnn.pad_packed_sequence"
            )
        modes = [layer.training for layer in self.dropouts]
        self._watched, outer = [], self._watched
        self.dropouts.eval()
        try:
            # Past the module's hooks and its own `run`: whoever watches these may be what asks.
            with torch.no_grad():
                type(self).run(self, input, hx, lengths)
            found = torch.cat(self._watched)
        finally:
            self._watched = outer
            for layer, mode in zip(self.dropouts, modes, strict=True):
                layer.train(mode)
        if lengths is not None:
            found = found.masked_fill(padding(lengths.to(found.device), found.shape[1]), 0.0)
        return Gates(*found.chunk(4, -1))

    def first_bias(self, name: str, gate: str) -> float:
        """Return the number that a gate's part of the bias called ``name`` starts from."""
        return self.forget_bias or 0.0 if name.startswith("bias_ih") and gate == "f" else 0.0

    def extra_repr(self) -> str:
        """Return the sizes and the options, for ``print(module)``."""
        return f"{super().extra_repr()}, forget_bias={self.forget_bias}"


def checked_forget_bias(value: Real | None, bias: bool) -> float | None:
    """Return a first bias of the forget gate, if there is a ``bias`` that it can stand in."""
    if value is None:
        return None
    if not bias:
        raise ConfigError(
            f"forget_bias={value:g} needs a bias to stand in; drop it or set bias=True"
        )
    checked: float = check_value(value, Real, "lstm.forget_bias")
    return checked
