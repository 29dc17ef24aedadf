"""The residual network for small images."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.models.context import ModelContext
from optlab.models.images import image_shape
from optlab.nn.activations import ReLU
from optlab.nn.images.convolution import Conv2d
from optlab.nn.images.pooling import GlobalAvgPool2d
from optlab.nn.linear import Linear
from optlab.nn.normalization.batchnorm import BatchNorm
from optlab.registry import models
from optlab.types import Depth, Width

Shortcut = Literal["A", "B"]


class ResNet(nn.Module):
    """Maps images (B, C, H, W), in any shape of so many numbers, to scores (B, out_features).

    A 3x3 convolution, then three stages of n blocks of two 3x3 convolutions each, with a shortcut
    around each block; the second and third stage halve the image and double the channels. Then the
    mean of each channel and a linear layer: depth 6n + 2, and 0.27 million parameters at depth 20.
    Parameters read ``stem.conv.weight``, ``stages.1.0.branch.conv1.weight``,
    ``stages.1.0.branch.norm2.bias``, ``stages.1.0.shortcut.conv.weight``, ``output.weight``.

    Without a norm the sum of shortcut and branch would grow with every block. Then the second
    convolution of each branch begins at 0, whatever the initializer, so that at the start every
    block passes its shortcut on and the net is as stable as a shallow one.

    Source: He et al., 2015, "Deep residual learning", section 4.2. For the zeros without a norm:
    Zhang, Dauphin and Ma, 2019, section 3, without their scalars.

    Args:
        image: C, H and W.
        out_features: Number of scores. The last activation belongs to the loss.
        depth: Number of layers with weights on the way, 6n + 2.
        width: Channels of the first stage; the paper has 16.
        shortcut: Where a block changes the channels, "A" drops every other pixel and adds channels
            of zeros, as the paper does for these images; "B" is a trained 1x1 convolution.
        activation: Makes the activation of one layer.
        norm: ``norm(C, 2)`` makes a normalization of images of C channels, or None.

    Raises:
        ConfigError: For a depth that is not 6n + 2.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        out_features: int,
        depth: int = 20,
        width: int = 16,
        shortcut: Shortcut = "A",
        activation: Callable[[], nn.Module] = ReLU,
        norm: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ConfigError(
                f"depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), got {depth} (model.depth)"
            )
        self.image = image
        self.stem = nn.Sequential(
            OrderedDict([*_conv("", image[0], width, norm), ("activation", activation())])
        )
        self.stages, before = nn.Sequential(), width
        for stage in range(3):
            blocks = nn.Sequential()
            for number in range((depth - 2) // 6):
                stride = 2 if stage and not number else 1
                channels = width * 2**stage
                blocks.append(Block(before, channels, stride, shortcut, activation, norm))
                before = channels
            self.stages.append(blocks)
        self.pool = GlobalAvgPool2d()
        self.output = Linear(before, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, shape (B, out_features)."""
        images = x.reshape(x.shape[0], *self.image)
        scores: Tensor = self.output(self.pool(self.stages(self.stem(images))))
        return scores


class Block(nn.Module):
    """A residual block: maps images (B, C, H, W) to activation(shortcut(x) + branch(x)).

    Args:
        in_channels: C.
        out_channels: Channels of the result.
        stride: 1, or 2 to halve height and width (rounded up).
        shortcut: As in `ResNet`.
        activation: Makes an activation.
        norm: As in `ResNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        shortcut: Shortcut,
        activation: Callable[[], nn.Module],
        norm: Callable[..., nn.Module] | None,
    ) -> None:
        super().__init__()
        last = Conv2d if norm else _ZeroConv2d
        self.branch = nn.Sequential(
            OrderedDict(
                [
                    *_conv("1", in_channels, out_channels, norm, stride=stride),
                    ("activation", activation()),
                    *_conv("2", out_channels, out_channels, norm, make=last),
                ]
            )
        )
        self.shortcut: nn.Module
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            self.shortcut = _Subsample(stride, out_channels - in_channels)
        else:
            projection = _conv("", in_channels, out_channels, norm, kernel=1, stride=stride)
            self.shortcut = nn.Sequential(OrderedDict(projection))
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's result."""
        result: Tensor = self.activation(self.shortcut(x) + self.branch(x))
        return result


class _Subsample(nn.Module):
    """Shortcut A: every other pixel, and channels of zeros."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, new_channels

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, :, :: self.stride, :: self.stride]
        return torch.constant_pad_nd(kept, (0, 0, 0, 0, 0, self.new_channels))


class _ZeroConv2d(Conv2d):
    """A convolution that begins at 0."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.initialize_()

    def initialize_(self, fill: object = None) -> None:
        """Fill with 0 instead of what the run's initializer draws."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()


def _conv(
    number: str,
    in_channels: int,
    out_channels: int,
    norm: Callable[..., nn.Module] | None,
    kernel: int = 3,
    stride: int = 1,
    make: Callable[..., nn.Module] = Conv2d,
) -> list[tuple[str, nn.Module]]:
    """Return a convolution and its normalization, if there is one, with their names."""
    after = [] if norm is None else [(f"norm{number}", norm(out_channels, 2))]
    # As in `MLP`: batch normalization takes a bias right before it away again.
    bias = not (after and isinstance(after[0][1], BatchNorm))
    conv = make(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=bias)
    return [(f"conv{number}", conv), *after]


@models.register("resnet")
def build_resnet(
    context: ModelContext,
    *,
    depth: Depth = 8,
    width: Width = 16,
    shortcut: Shortcut = "A",
) -> ResNet:
    """Build a `ResNet` for a task of images."""
    return ResNet(
        image_shape(context, "resnet"),
        context.num_outputs,
        depth,
        width,
        shortcut,
        context.activation,
        context.norm,
    )
