"""A small convolutional network: filters and pooling, then dense layers."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.models.context import ModelContext
from optlab.models.images import image_shape
from optlab.models.mlp import MLP, NormPosition
from optlab.nn.activations import ReLU
from optlab.nn.dropout import Dropout, Rate, drop_probability
from optlab.nn.images.convolution import Conv2d
from optlab.nn.images.pooling import AvgPool2d, MaxPool2d
from optlab.nn.normalization.batchnorm import BatchNorm
from optlab.registry import models
from optlab.types import Range, Width

Pooling = Literal["max", "avg", "none"]
_POOLS: dict[str, type[nn.Module]] = {"max": MaxPool2d, "avg": AvgPool2d}


class SmallCNN(nn.Module):
    """Maps images (B, C, H, W), in any shape of so many numbers, to scores (B, out_features).

    Every convolution keeps the size of the image, and pooling by 2 halves it (course notes, rows
    CNN-02 to CNN-04); an `MLP` maps what remains to the scores. Parameters read
    ``features.0.conv.weight``, ``features.0.norm.bias``, ``dense.hidden.0.linear.weight``,
    ``dense.output.weight``.

    Source: the plan of LeNet (LeCun et al., 1998), with the parts that the notes name.

    Args:
        image: C, H and W.
        out_features: Number of scores. The last activation belongs to the loss.
        channels: Number of filters of each convolution.
        kernel: Rows and columns of a filter.
        pool: "max", "avg", or "none" for no pooling (row CNN-03).
        hidden: Width of each hidden layer of the dense part.
        activation: Makes the activation of one layer.
        norm: ``norm(F)`` makes a normalization of F features, ``norm(C, 2)`` one of images; or
            None.
        norm_position: "pre" or "post", before or after the activation, as in `MLP` (row NRM-05).
        dropout: Drop probability of the features and of hidden units in the dense part, or a kind
            of network (row REG-09; "cnn" is 0.45).

    Raises:
        ConfigError: When the image is too small to be halved once per convolution.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        out_features: int,
        channels: Sequence[int] = (16, 32),
        kernel: int = 3,
        pool: Pooling = "max",
        hidden: Sequence[int] = (64,),
        activation: Callable[[], nn.Module] = ReLU,
        norm: Callable[..., nn.Module] | None = None,
        norm_position: NormPosition = "pre",
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        self.image = image
        size = _size_of_features(image, len(channels), pool)
        norm_of_images = None if norm is None else lambda features: norm(features, 2)
        before = [image[0], *channels]
        self.features = nn.Sequential(
            *(
                _features(one, other, kernel, pool, activation, norm_of_images, norm_position)
                for one, other in zip(before, channels, strict=False)
            )
        )
        rate = drop_probability(dropout)
        self.dropout = Dropout(rate) if rate > 0 else None
        flat = before[-1] * size[0] * size[1]
        self.dense = MLP(flat, hidden, out_features, activation, norm, norm_position, rate)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, out_features)."""
        found = self.features(x.reshape(x.shape[0], *self.image)).flatten(1)
        scores: Tensor = self.dense(found if self.dropout is None else self.dropout(found))
        return scores


@models.register("small_cnn")
def build_small_cnn(
    context: ModelContext,
    *,
    channels: tuple[Width, ...] = (16, 32),
    kernel: Annotated[int, Range(low=1, high=1024)] = 3,
    pool: Pooling = "max",
    hidden: tuple[Width, ...] = (64,),
    norm_position: NormPosition = "pre",
    dropout: Rate = 0.0,
) -> SmallCNN:
    """Build a `SmallCNN` for a task of images."""
    return SmallCNN(
        image_shape(context, "small_cnn"),
        context.num_outputs,
        channels,
        kernel,
        pool,
        hidden,
        context.activation,
        context.norm,
        norm_position,
        dropout,
    )


def _size_of_features(image: tuple[int, int, int], times: int, pool: Pooling) -> tuple[int, int]:
    """Return height and width after ``times`` poolings."""
    _, height, width = image
    if pool == "none":
        return height, width
    if min(height, width) < 2**times:
        raise ConfigError(
            f"images of {height} x {width} cannot be halved {times} times; give fewer "
            "model.channels or model.pool=none"
        )
    return height // 2**times, width // 2**times


def _features(
    in_channels: int,
    out_channels: int,
    kernel: int,
    pool: Pooling,
    activation: Callable[[], nn.Module],
    norm: Callable[[int], nn.Module] | None,
    norm_position: NormPosition,
) -> nn.Sequential:
    after: list[tuple[str, nn.Module]] = [("activation", activation())]
    if norm is not None:
        after.insert(0 if norm_position == "pre" else 1, ("norm", norm(out_channels)))
    if pool != "none":
        after.append(("pool", _POOLS[pool](2)))
    # As in `MLP`: batch normalization takes a bias right before it away again.
    bias = not isinstance(after[0][1], BatchNorm)
    conv = Conv2d(in_channels, out_channels, kernel, padding="same", bias=bias)
    return nn.Sequential(OrderedDict([("conv", conv), *after]))
