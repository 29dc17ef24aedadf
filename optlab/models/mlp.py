"""The multilayer perceptron."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.models.context import ModelContext
from optlab.nn.activations import ReLU
from optlab.nn.dropout import Dropout, Rate, drop_probability
from optlab.nn.linear import Linear
from optlab.nn.normalization.batchnorm import BatchNorm1d
from optlab.registry import models
from optlab.types import Width

NormPosition = Literal["pre", "post"]


class MLP(nn.Module):
    """Maps inputs (B, ...), laid flat, through hidden layers to scores (B, out_features).

    Parameters read ``hidden.0.linear.weight``, ``hidden.0.norm.bias``, ``output.weight``: weights
    have shape (out, in), the transpose of the notes' w_ij (course notes, rows MLP-01 to MLP-03).

    Args:
        in_features: Number of features of one input laid flat.
        hidden: Width of each hidden layer; none leaves a linear model.
        out_features: Number of scores. The last activation belongs to the loss.
        activation: Makes the activation of one hidden layer.
        norm: Makes a normalization for a layer of so many features, or None.
        norm_position: ``"pre"`` is linear, norm, activation, the formula of the notes and the
            paper; ``"post"`` is linear, activation, norm, the notes' code (rows NRM-05 and E9).
            A linear layer right before a `BatchNorm1d` has no bias: the norm has one.
        dropout: Drop probability after each hidden layer, or a kind of network (row REG-09).

    Raises:
        ConfigError: When ``activation`` or ``norm`` is a module and not what makes one.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        activation: Callable[[], nn.Module] = ReLU,
        norm: Callable[[int], nn.Module] | None = None,
        norm_position: NormPosition = "pre",
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        for part, maker in (("activation", activation), ("norm", norm)):
            _check_makes_modules(part, maker)
        widths = [in_features, *check_value(hidden, tuple[Width, ...], "hidden")]
        rate = drop_probability(dropout)
        self.hidden = nn.Sequential(
            *(
                _hidden_layer(before, width, activation, norm, norm_position, rate)
                for before, width in pairwise(widths)
            )
        )
        self.output = Linear(widths[-1], out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, out_features)."""
        scores: Tensor = self.output(self.hidden(x.flatten(1)))
        return scores


@models.register("mlp")
def build_mlp(
    context: ModelContext,
    *,
    hidden: tuple[Width, ...] = (64,),
    norm_position: NormPosition = "pre",
    dropout: Rate = 0.0,
) -> MLP:
    """Build an `MLP` for a task."""
    context.refuse_sequences("mlp")
    return MLP(
        context.num_inputs,
        hidden,
        context.num_outputs,
        context.activation,
        context.norm,
        norm_position,
        dropout,
    )


def _check_makes_modules(part: str, maker: object) -> None:
    """Refuse a module: one and the same in every layer would share its weights and its state."""
    if isinstance(maker, nn.Module):
        name = type(maker).__name__
        raise ConfigError(
            f"{part} must be a class such as {name}, or a function that makes a module for each "
            f"layer, got the module {name}(); pass {part}={name} without parentheses, or a lambda"
        )


def _hidden_layer(
    in_features: int,
    out_features: int,
    activation: Callable[[], nn.Module],
    norm: Callable[[int], nn.Module] | None,
    norm_position: NormPosition,
    rate: float,
) -> nn.Sequential:
    after: list[tuple[str, nn.Module]] = [("activation", activation())]
    if norm is not None:
        after.insert(0 if norm_position == "pre" else 1, ("norm", norm(out_features)))
    if rate > 0:
        after.append(("dropout", Dropout(rate)))
    # The batch mean takes a bias away again: its gradient would be rounding noise, which Adam and
    # its like divide by its own size (Ioffe and Szegedy, 2015, section 3.2).
    bias = not isinstance(after[0][1], BatchNorm1d)
    return nn.Sequential(OrderedDict([("linear", Linear(in_features, out_features, bias)), *after]))
