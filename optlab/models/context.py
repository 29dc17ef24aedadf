"""What a model's builder is given by the program, beside its own options."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from optlab.config import ConfigError


@dataclass(frozen=True)
class ModelContext:
    """Shapes that the task and the loss fix, and the parts chosen by other groups.

    Attributes:
        input_shape: Shape of one input, without the row axis.
        num_outputs: Columns of the output.
        activation: Makes a fresh activation module for one layer.
        norm: ``norm(F)`` makes a normalization of (B, F), ``norm(C, 2)`` one of images
            (B, C, H, W); or None.
        vocabulary: For inputs that are tokens, (B, T) int64, how many symbols there are; else None.
        target_steps: None for scores (B, D); S for scores (B, S, D) of the last S time steps.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    activation: Callable[[], nn.Module]
    norm: Callable[..., nn.Module] | None = None
    vocabulary: int | None = None
    target_steps: int | None = None

    def refuse_sequences(self, model: str) -> None:
        """Raise for a task that ``model``, which has no notion of time, cannot be trained on.

        Raises:
            ConfigError: For tokens, and for targets at several time steps.
        """
        kind = "tokens" if self.vocabulary else "a target at several time steps"
        if self.vocabulary or self.target_steps:
            remedy = self.runs_by_itself or "model=rnn, lstm, window_mlp or transformer"
            raise ConfigError(
                f"model {model!r} cannot take this task, which has {kind}; choose {remedy}"
            )

    @property
    def runs_by_itself(self) -> str | None:
        """What suits a task that asks for several steps of an input without time, else None.

        The answer is the overrides of a network that goes on from the input by itself.
        """
        if self.vocabulary or not self.target_steps or len(self.input_shape) > 1:
            return None
        run = f"model.steps={2 * self.target_steps}"
        return f"model=rnn model.inputs=initial {run} (or model.inputs=clamped)"

    @property
    def num_inputs(self) -> int:
        """Number of features of one input laid flat."""
        count = 1
        for length in self.input_shape:
            count *= length
        return count
