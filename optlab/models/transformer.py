"""A small Transformer that reads sequences from the left.

Shapes: batch B, time T, numbers of a step I, features W (the width), scores D.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.models.context import ModelContext
from optlab.models.sequences import (
    check_answered_steps,
    check_inputs,
    check_tokens,
    checked_target_steps,
    step_size,
)
from optlab.nn.activations import ReLU
from optlab.nn.attention import MultiHeadAttention
from optlab.nn.dropout import Dropout, Rate, drop_probability
from optlab.nn.embedding import Embedding
from optlab.nn.linear import Linear
from optlab.nn.normalization.layernorm import LayerNorm
from optlab.registry import models
from optlab.types import Depth, Width


class Block(nn.Module):
    """Causal attention among the steps, then a hidden layer of 4 W units for each step.

    Both add what they find to their input (B, T, W), and read it normalized: the pre-norm form,
    whose sum of inputs runs through all blocks without a layer in its way.

    Source: Vaswani et al., 2017, section 3.1; Xiong et al., 2020, for the place of the norms.

    Args:
        width: W.
        heads: Number of heads of the attention.
        activation: Makes the activation of the hidden layer.
        rate: Drop probability of what is added.
    """

    def __init__(
        self, width: int, heads: int, activation: Callable[[], nn.Module], rate: float
    ) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, causal=True)
        self.hidden_norm = LayerNorm(width)
        self.hidden = nn.Sequential(
            Linear(width, 4 * width), activation(), Linear(4 * width, width)
        )
        self.attention_dropout = Dropout(rate) if rate else nn.Identity()
        self.hidden_dropout = Dropout(rate) if rate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of every step, shape (B, T, W)."""
        x = x + self.attention_dropout(self.attention(self.attention_norm(x)))
        after: Tensor = x + self.hidden_dropout(self.hidden(self.hidden_norm(x)))
        return after


class Transformer(nn.Module):
    """Maps sequences (B, T, I) or tokens (B, T) to scores (B, D), or (B, s, D).

    A step's features are its token's row (or an affine map of its numbers) plus its position's
    row, sent through the blocks; the scores are an affine map of the last steps' normalized
    features. No step knows of later ones.

    Args:
        steps: Length of the longest sequence; positions have a row each, learned from N(0, 1) on.
        step_size: I, or the number of symbols when inputs are tokens.
        num_outputs: D.
        width: W, a multiple of ``heads``.
        heads: Number of heads of each attention.
        depth: Number of blocks.
        activation: Makes the activation of a block's hidden layer.
        dropout: Drop probability of the first features and of what blocks add, or a kind of
            network.
        tokens: Whether inputs are tokens.
        target_steps: s: how many steps to answer, counted from the end; None answers after the
            last, without that axis.

    Raises:
        ConfigError: For 0 steps to answer, and for more than ``steps``.
    """

    def __init__(
        self,
        steps: int,
        step_size: int,
        num_outputs: int,
        *,
        width: int = 64,
        heads: int = 4,
        depth: int = 2,
        activation: Callable[[], nn.Module] = ReLU,
        dropout: Rate = 0.0,
        tokens: bool = False,
        target_steps: int | None = None,
    ) -> None:
        super().__init__()
        check_answered_steps(steps, target_steps)
        rate = drop_probability(dropout)
        self.steps, self.step_size, self.tokens = steps, step_size, tokens
        self.target_steps = checked_target_steps(target_steps)
        self.read = Embedding(step_size, width) if tokens else Linear(step_size, width)
        self.position = Embedding(steps, width)
        self.dropout = Dropout(rate) if rate else nn.Identity()
        self.blocks = nn.Sequential(*(Block(width, heads, activation, rate) for _ in range(depth)))
        self.norm = LayerNorm(width)
        self.output = Linear(width, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, D) or (B, s, D).

        Raises:
            ConfigError: For inputs that are not what the model reads, or of an unfit length.
        """
        self._check(x)
        time = torch.arange(x.shape[1], device=x.device)
        features = self.blocks(self.dropout(self.read(x) + self.position(time)))
        last = features[:, -1] if self.target_steps is None else features[:, -self.target_steps :]
        scores: Tensor = self.output(self.norm(last))
        return scores

    def _check(self, x: Tensor) -> None:
        if x.is_floating_point() == self.tokens:
            wanted = "tokens, int64" if self.tokens else "floating-point numbers"
            raise ConfigError(f"this model reads {wanted}, got {x.dtype}")
        if self.tokens:
            check_inputs(x, "T")
            check_tokens(x, self.step_size)
        else:
            check_inputs(x, "T", self.step_size, dtype=self.output.weight.dtype)
        shortest = self.target_steps or 1
        if not shortest <= x.shape[1] <= self.steps:
            raise ConfigError(
                f"this model reads sequences of {shortest} to {self.steps} steps, got "
                f"{x.shape[1]}: inputs of shape {tuple(x.shape)}"
            )


@models.register("transformer")
def build_transformer(
    context: ModelContext,
    *,
    width: Width = 64,
    heads: Width = 4,
    depth: Depth = 2,
    dropout: Rate = 0.0,
) -> Transformer:
    """Build a `Transformer` for a task of sequences.

    Raises:
        ConfigError: For a task whose inputs have no time axis.
    """
    size = step_size(context, "transformer")
    if width % heads:
        raise ConfigError(
            f"model.width must be a multiple of model.heads, got width={width} and heads={heads}"
        )
    return Transformer(
        context.input_shape[0],
        size,
        context.num_outputs,
        width=width,
        heads=heads,
        depth=depth,
        activation=context.activation,
        dropout=dropout,
        tokens=context.vocabulary is not None,
        target_steps=context.target_steps,
    )
