"""One linear layer: linear, logistic and softmax regression, told apart by the loss."""

from torch import Tensor, nn

from optlab.models.context import ModelContext
from optlab.nn.linear import Linear
from optlab.registry import models


class LinearModel(nn.Module):
    """Maps inputs (B, ...), laid flat, to scores (B, out_features) by one affine layer.

    With mse it is linear regression, with bce logistic, with cce softmax regression and with the
    perceptron loss a perceptron (course notes, row LOS-13).

    Args:
        in_features: Number of features of one input laid flat.
        out_features: Number of scores.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, out_features)."""
        scores: Tensor = self.linear(x.flatten(1))
        return scores


@models.register("linear")
def build_linear(context: ModelContext) -> LinearModel:
    """Build a `LinearModel` for a task."""
    context.refuse_sequences("linear")
    return LinearModel(context.num_inputs, context.num_outputs)
