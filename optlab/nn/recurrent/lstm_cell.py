"""One step of long short-term memory. Shapes: batch B, inputs I, hidden H."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.init import Initializer
from optlab.nn.recurrent.checks import check_states, checked_dtype
from optlab.nn.recurrent.first_weights import (
    RECURRENT_INITIALIZERS,
    RecurrentInit,
    fill_first_weights,
)
from optlab.nn.recurrent.lstm import LSTM, HiddenAndCell, checked_forget_bias
from optlab.nn.recurrent.lstm_operation import lstm_direction
from optlab.types import Count, Real


class LSTMCell(nn.Module):
    """One step of an `LSTM` of one layer, with weights for a loop that a user writes.

    The arguments of `torch.nn.LSTMCell` in its order, then ours; parameters ``weight_ih`` (4H, I),
    ``weight_hh`` (4H, H), ``bias_ih`` and ``bias_hh`` (4H,) as there, filled as in `LSTM`.

    Args:
        input_size: I.
        hidden_size: H.
        bias: Whether there are biases.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.
        forget_bias: As in `LSTM`.
        recurrent_init: As in `LSTM`.

    Raises:
        ConfigError: For options out of range, and a ``forget_bias`` without biases.
    """

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        forget_bias: Real | None = None,
        recurrent_init: RecurrentInit = "orthogonal",
    ) -> None:
        super().__init__()
        self.input_size = check_value(input_size, Count, "input_size")
        self.hidden_size = check_value(hidden_size, Count, "hidden_size")
        self.recurrent_init = check_value(recurrent_init, RecurrentInit, "recurrent_init")
        self.forget_bias = checked_forget_bias(forget_bias, bias)
        dtype = checked_dtype(dtype)

        def empty(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        rows = 4 * hidden_size
        self.weight_ih, self.weight_hh = empty(rows, input_size), empty(rows, hidden_size)
        self.bias_ih = empty(rows) if bias else None
        self.bias_hh = empty(rows) if bias else None
        fill_first_weights(self)

    def forward(self, input: Tensor, hx: HiddenAndCell | None = None) -> HiddenAndCell:
        """Return h and c after a step, (B, H) or (H,) each.

        Args:
            input: (B, I), or (I,) without a batch.
            hx: h and c before, (B, H) or (H,) each; 0 if None.

        Raises:
            ConfigError: For a shape or dtype that does not fit.
        """
        batch = input.shape[:-1]
        self._check("input", input, (*batch[:1], self.input_size))
        if hx is None:
            zeros = input.new_zeros(*batch, self.hidden_size)
            hx = zeros, zeros
        check_states(("h", "c"), hx, (*batch, self.hidden_size), input)
        x = input.reshape(1, 1, -1, self.input_size)
        states = (state.reshape(1, -1, self.hidden_size) for state in hx)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        runs = (None if weight is None else weight.unsqueeze(0) for weight in weights)
        _, h, c = lstm_direction(x, *states, *runs, None, False, torch.is_grad_enabled())
        return h.view(hx[0].shape), c.view(hx[1].shape)

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the weights gate by gate and set the biases to what they start from."""
        names = LSTM.gates
        recurrent = RECURRENT_INITIALIZERS[self.recurrent_init]
        for gate, block in zip(names, self.weight_ih.chunk(4), strict=True):
            fill(f"weight_ih.{gate}", block, None)
        for gate, block in zip(names, self.weight_hh.chunk(4), strict=True):
            fill(f"weight_hh.{gate}", block, recurrent)
        if self.bias_ih is not None and self.bias_hh is not None:
            self.bias_ih.zero_().chunk(4)[1].fill_(self.forget_bias or 0.0)
            self.bias_hh.zero_()

    def extra_repr(self) -> str:
        """Return the sizes and the options, for ``print(module)``."""
        sizes = f"{self.input_size}, {self.hidden_size}, bias={self.bias_ih is not None}"
        return f"{sizes}, recurrent_init={self.recurrent_init}, forget_bias={self.forget_bias}"

    def _check(self, name: str, tensor: Tensor, wanted: tuple[int, ...]) -> None:
        if tensor.shape != wanted or tensor.dtype != self.weight_ih.dtype:
            raise ConfigError(
                f"{name} must be {wanted}, or without the batch ({wanted[-1]},), of the parameters'"
                f" dtype {self.weight_ih.dtype}, got {tuple(tensor.shape)} of {tensor.dtype}"
            )
