"""Layers of images: convolution and pooling."""

from optlab.nn.images.convolution import Conv2d
from optlab.nn.images.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d

__all__ = ["AvgPool2d", "Conv2d", "GlobalAvgPool2d", "MaxPool2d"]
