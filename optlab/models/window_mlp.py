"""A multilayer perceptron that sees the last few inputs of a sequence, at every time step.

Shapes: batch B, time T, inputs I, window w, outputs O, answered steps s.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from optlab.config import check_value
from optlab.models.context import ModelContext
from optlab.models.mlp import MLP
from optlab.models.sequences import (
    check_answered_steps,
    check_inputs,
    checked_target_steps,
    one_hot,
    step_size,
)
from optlab.nn.activations import ReLU
from optlab.nn.dropout import Rate
from optlab.registry import models
from optlab.types import Depth, Width


class WindowMLP(nn.Module):
    """Maps sequences (B, T, I) or tokens (B, T) to scores (B, O), or (B, s, O).

    The scores of step t are those of one `MLP` for x(t-w+1) ... x(t), oldest first; inputs before
    the first are 0. With w = 1 it sees only the current input and remembers nothing, which is the
    course notes' case against feed-forward networks; a window of the lag and one is the fair
    control (row RNN-10). Parameters read ``mlp.hidden.0.linear.weight``, ``mlp.output.weight``.

    Args:
        input_size: I.
        hidden: Width of each hidden layer.
        num_outputs: O.
        window: w.
        activation: Makes the activation of one hidden layer.
        norm: Makes a normalization for a layer of so many features, or None; all answered steps of
            a batch are rows to it.
        dropout: Drop probability after each hidden layer, or a kind of network.
        vocabulary: Number of symbols when inputs are tokens, which become one-hot.
        target_steps: s: how many steps to answer, counted from the end, or None: the last one,
            without that axis.

    Raises:
        ConfigError: For a window of 0 inputs, and for 0 steps to answer.
    """

    def __init__(
        self,
        input_size: int,
        hidden: Sequence[int],
        num_outputs: int,
        window: int = 1,
        activation: Callable[[], nn.Module] = ReLU,
        norm: Callable[[int], nn.Module] | None = None,
        dropout: Rate = 0.0,
        *,
        vocabulary: int | None = None,
        target_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.window = check_value(window, Depth, "window")
        self.vocabulary, self.target_steps = vocabulary, checked_target_steps(target_steps)
        self.input_size = input_size
        self.mlp = MLP(window * input_size, hidden, num_outputs, activation, norm, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, O) or (B, s, O).

        Raises:
            ConfigError: For inputs that are not what the model reads, or with fewer than s steps.
        """
        dtype = self.mlp.output.weight.dtype
        x = one_hot(x, self.vocabulary, dtype)
        check_inputs(x, "T", self.input_size, dtype=dtype)
        check_answered_steps(x.shape[1], self.target_steps)
        windows = self._windows(x, self.target_steps or 1)
        scores: Tensor = self.mlp(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
        return scores[:, 0] if self.target_steps is None else scores

    def _windows(self, x: Tensor, num_steps: int) -> Tensor:
        """Return what the last steps see, (B, s, w * I)."""
        before = x.new_zeros(len(x), self.window - 1, x.shape[-1])
        padded = torch.cat([before, x], 1)[:, -(num_steps + self.window - 1) :]
        return torch.cat([padded[:, age : age + num_steps] for age in range(self.window)], -1)


@models.register("window_mlp")
def build_window_mlp(
    context: ModelContext,
    *,
    hidden: tuple[Width, ...] = (64,),
    window: Depth = 1,
    dropout: Rate = 0.0,
) -> WindowMLP:
    """Build a `WindowMLP` for a task of sequences.

    Raises:
        ConfigError: For a task whose inputs have no time axis.
    """
    size = step_size(context, "window_mlp")
    check_answered_steps(context.input_shape[0], context.target_steps)
    return WindowMLP(
        size,
        hidden,
        context.num_outputs,
        window,
        context.activation,
        context.norm,
        dropout,
        vocabulary=context.vocabulary,
        target_steps=context.target_steps,
    )
