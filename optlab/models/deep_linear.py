"""A deep net without activations: what depth does to a signal and to learning, and nothing else."""

from itertools import pairwise

from torch import Tensor, nn

from optlab.models.context import ModelContext
from optlab.nn.linear import Linear
from optlab.registry import models
from optlab.types import Depth, Width


class DeepLinear(nn.Module):
    """Maps inputs (B, ...), laid flat, through ``depth`` linear layers to scores (B, out_features).

    Whatever the depth, it can say no more than one linear layer, but it learns otherwise: the loss
    is not convex in the weights, 0 is a saddle point, and a signal is multiplied by every layer's
    gain. With ``init=identity`` and equal sizes the output is gain^depth times the input (course
    notes, rows INI-13 and E15). Only the last layer has a bias; more would add up to one.

    Source: Saxe, McClelland and Ganguli, 2014.

    Args:
        in_features: Number of features of one input laid flat.
        depth: Number of linear layers, the output's included; 1 is a linear model.
        width: Features between two layers.
        out_features: Number of scores.
    """

    def __init__(self, in_features: int, depth: int, width: int, out_features: int) -> None:
        super().__init__()
        widths = [in_features, *[width] * (depth - 1)]
        layers = (Linear(before, after, bias=False) for before, after in pairwise(widths))
        self.hidden = nn.Sequential(*layers)
        self.output = Linear(widths[-1], out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, out_features)."""
        scores: Tensor = self.output(self.hidden(x.flatten(1)))
        return scores

    def product(self) -> Tensor:
        """Return the one weight that all layers multiply to, shape (out_features, in_features)."""
        weight: Tensor = self.output.weight
        for layer in reversed(self.hidden):
            weight = weight @ layer.get_parameter("weight")
        return weight


@models.register("deep_linear")
def build_deep_linear(context: ModelContext, *, depth: Depth = 4, width: Width = 64) -> DeepLinear:
    """Build a `DeepLinear` for a task."""
    context.refuse_sequences("deep_linear")
    return DeepLinear(context.num_inputs, depth, width, context.num_outputs)
