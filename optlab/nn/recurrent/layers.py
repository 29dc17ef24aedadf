"""What LSTM and RNN share: layers, directions, sequences of different lengths, initial weights.

Shapes: time T, batch B, inputs I, hidden H, layers L, directions D (1 or 2), gates G.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from optlab.config import ConfigError, check_value
from optlab.init import Initializer
from optlab.nn.dropout import Dropout
from optlab.nn.recurrent.checks import check_input, check_lengths, check_states, checked_dtype
from optlab.nn.recurrent.first_weights import RECURRENT_INITIALIZERS, fill_first_weights
from optlab.nn.recurrent.first_weights import RecurrentInit as RecurrentInit
from optlab.nn.recurrent.sequences import pack_like, padding, unpack
from optlab.types import Count, Decay

States = tuple[Tensor, ...]
#: weight_ih, weight_hh, bias_ih, bias_hh of one direction of one layer.
Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


class RecurrentLayers(nn.Module):
    """Stacked recurrent layers in one or both directions of time, with torch's parameter names.

    Parameters are named and shaped as in torch, and state dicts can be exchanged: for layer k
    ``weight_ih_lk`` (G*H, I), for k > 0 (G*H, D*H), ``weight_hh_lk`` (G*H, H), ``bias_ih_lk`` and
    ``bias_hh_lk`` (G*H,); those of the reverse direction end in ``_reverse``.

    Initial weights: every gate's block is filled as a weight of its own, (H, I) or (H, H); biases
    start at 0 (torch draws them). They come from torch's global generator; in a run
    `optlab.init.initialize` draws them anew from its seed.

    Args:
        input_size: I, the features of a time step.
        hidden_size: H, the units of a layer and direction.
        num_layers: L; each layer reads the outputs of the one before.
        bias: Whether the layers have biases.
        batch_first: Whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        dropout: Drop probability of the outputs of every layer but the last, in [0, 1).
        bidirectional: Whether each layer also reads the sequence from its end, with weights of its
            own; its outputs stand behind the others.
        recurrent_init: How ``weight_hh`` starts: an ``"orthogonal"`` matrix or the ``"identity"``
            for each gate, or the ``"same"`` rule as all other weights.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.
    """

    #: Blocks of the weights, in their order.
    gates: ClassVar[tuple[str, ...]]
    #: Names of the initial states.
    state_names: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        num_layers: Count,
        bias: bool,
        batch_first: bool,
        dropout: Decay,
        bidirectional: bool,
        *,
        recurrent_init: RecurrentInit,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.input_size = check_value(input_size, Count, "input_size")
        self.hidden_size = check_value(hidden_size, Count, "hidden_size")
        self.num_layers = check_value(num_layers, Count, "num_layers")
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.recurrent_init = check_value(recurrent_init, RecurrentInit, "recurrent_init")
        self.dropout = check_value(dropout, Decay, "dropout")
        dropouts = num_layers - 1 if dropout else 0
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in range(dropouts))
        self._suffixes = [
            [f"_l{layer}{end}" for end in (("", "_reverse") if bidirectional else ("",))]
            for layer in range(num_layers)
        ]
        dtype = checked_dtype(dtype)
        for layer, suffixes in enumerate(self._suffixes):
            width = hidden_size * len(suffixes) if layer else input_size
            for suffix in suffixes:
                self._add_parameters(suffix, width, device, dtype)
        fill_first_weights(self)

    @abstractmethod
    def one_direction(
        self, x: Tensor, states: States, weights: Weights, lengths: Tensor | None, reverse: bool
    ) -> tuple[Tensor, States]:
        """Run one direction of one layer.

        All tensors are as an `Operation` takes them, with an axis of one run in front.

        Args:
            x: Inputs of every step, (1, T, B, I); 0 past the end of a sequence.
            states: Initial states, each (1, B, H).
            weights: (1, G*H, I), (1, G*H, H), (1, G*H) or None, (1, G*H) or None.
            lengths: Number of steps of each sequence, (1, B), or None: all T. The steps past the
                end leave the states as they are, so that the reverse direction comes to the last
                step of a sequence with its initial state.
            reverse: Whether to go from the last step to the first.

        Returns:
            The hidden state after every step, (1, T, B, H) in the order of the inputs (past the
            end of a sequence: anything), and the final states, each (1, B, H).
        """

    def run(
        self, x: Tensor | PackedSequence, states: States | None, lengths: Tensor | None
    ) -> tuple[Tensor | PackedSequence, States]:
        """Return the outputs of the last layer and the final states of all layers.

        Args:
            x: (T, B, I), (B, T, I) if ``batch_first``, (T, I) without a batch, or a packed batch.
            states: Initial states, each (L*D, B, H), or (L*D, H) without a batch; 0 if None.
            lengths: Number of steps of each sequence of a padded batch, (B,) integers in [0, T] in
                any order; outputs past an end are 0, and final states are those at the end.

        Returns:
            Outputs (T, B, D*H), in the form of ``x``, and the final states in that of ``states``.

        Raises:
            ConfigError: For inputs, states or lengths of a shape, dtype or device that do not fit.
        """
        if isinstance(x, PackedSequence):
            return self._run_packed(x, states, lengths)
        if x.ndim == 2:
            if lengths is not None:
                raise ConfigError("lengths is for a batch; cut a single sequence (T, I) instead")
            x = x.unsqueeze(1)
            states = self._checked_states(states, x, batched=False)
            outputs, finals = self._run_padded(x, states, None)
            return outputs.squeeze(1), tuple(final.squeeze(1) for final in finals)
        if self.batch_first and x.ndim == 3:
            outputs, finals = self._run_padded(x.transpose(0, 1), states, lengths)
            return outputs.transpose(0, 1), finals
        return self._run_padded(x, states, lengths)

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the weights gate by gate and set the biases to what they start from."""
        recurrent = RECURRENT_INITIALIZERS[self.recurrent_init]
        for name, parameter in self.named_parameters(recurse=False):
            other = recurrent if name.startswith("weight_hh") else None
            for gate, block in zip(self.gates, parameter.chunk(len(self.gates)), strict=True):
                if block.ndim == 2:
                    fill(f"{name}.{gate}", block, other)
                else:
                    block.fill_(self.first_bias(name, gate))

    def first_bias(self, name: str, gate: str) -> float:
        """Return the number that a gate's part of the bias called ``name`` starts from."""
        return 0.0

    def flatten_parameters(self) -> None:
        """Do nothing: it matters to torch's layers only where in memory parameters lie."""

    def extra_repr(self) -> str:
        """Return the sizes and the options, for ``print(module)``."""
        options = ("num_layers", "bias", "batch_first", "dropout", "bidirectional")
        listed = [f"{name}={getattr(self, name)}" for name in (*options, "recurrent_init")]
        return ", ".join([str(self.input_size), str(self.hidden_size), *listed])

    def _run_packed(
        self, packed: PackedSequence, states: States | None, lengths: Tensor | None
    ) -> tuple[PackedSequence, States]:
        if lengths is not None:
            raise ConfigError("lengths is for a padded batch; a packed one has its own")
        padded, lengths = unpack(packed)
        states = self._checked_states(states, padded)
        if packed.sorted_indices is not None:
            states = tuple(state.index_select(1, packed.sorted_indices) for state in states)
        outputs, finals = self._run_padded(padded, states, lengths)
        if packed.unsorted_indices is not None:
            finals = tuple(final.index_select(1, packed.unsorted_indices) for final in finals)
        return pack_like(outputs, packed), finals

    def _run_padded(
        self, x: Tensor, states: States | None, lengths: Tensor | None
    ) -> tuple[Tensor, States]:
        """Do what `run` does for (T, B, I)."""
        form = "(B, T, I)" if self.batch_first else "(T, B, I)"
        check_input(x, self.input_size, form, getattr(self, f"weight_ih{self._suffixes[0][0]}"))
        states = self._checked_states(states, x)
        past = None
        if lengths is not None:
            check_lengths(lengths, *x.shape[:2])
            lengths = lengths.to(x.device)
            past = padding(lengths, x.shape[0])
            x = x.masked_fill(past, 0.0)
        finals: list[States] = []
        for layer, suffixes in enumerate(self._suffixes):
            outputs = []
            for reverse, suffix in enumerate(suffixes):
                place = len(finals)
                first = tuple(state[place : place + 1] for state in states)
                output, last = self._run_direction(x, first, suffix, lengths, bool(reverse))
                outputs.append(output)
                finals.append(last)
            x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
            x = x if past is None else x.masked_fill(past, 0.0)
            if layer < len(self.dropouts):
                x = self.dropouts[layer](x)
        if len(finals) == 1:
            return x, finals[0]
        return x, tuple(torch.cat(kind) for kind in zip(*finals, strict=True))

    def _run_direction(
        self, x: Tensor, states: States, suffix: str, lengths: Tensor | None, reverse: bool
    ) -> tuple[Tensor, States]:
        """Run one direction of one layer for x (T, B, I) and states (1, B, H)."""
        weights = self._weights(suffix)
        ends = None if lengths is None else lengths.unsqueeze(0)
        output, finals = self.one_direction(x.unsqueeze(0), states, weights, ends, reverse)
        return output.squeeze(0), finals

    def _weights(self, suffix: str) -> Weights:
        """Return the parameters called ``..._l0``, say, with an axis of one run in front."""
        w_ih, w_hh = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        biases = (getattr(self, f"bias_{kind}{suffix}", None) for kind in ("ih", "hh"))
        b_ih, b_hh = (None if bias is None else bias.unsqueeze(0) for bias in biases)
        return w_ih.unsqueeze(0), w_hh.unsqueeze(0), b_ih, b_hh

    def _checked_states(self, states: States | None, x: Tensor, batched: bool = True) -> States:
        """Return initial states, each (L*D, B, H), for inputs (T, B, I); 0 for None."""
        count, batch = self.num_layers * (1 + self.bidirectional), x.shape[1]
        if states is None:
            zeros = x.new_zeros(count, batch, self.hidden_size)
            return (zeros,) * len(self.state_names)
        wanted = (count, batch, self.hidden_size) if batched else (count, self.hidden_size)
        check_states(self.state_names, states, wanted, x)
        return states if batched else tuple(state.unsqueeze(1) for state in states)

    def _add_parameters(
        self, suffix: str, width: int, device: torch.device | str | None, dtype: torch.dtype
    ) -> None:
        rows = len(self.gates) * self.hidden_size
        weights = {"weight_ih": (rows, width), "weight_hh": (rows, self.hidden_size)}
        biases = {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        for name, shape in (*weights.items(), *biases.items()):
            empty = torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name + suffix, nn.Parameter(empty))
