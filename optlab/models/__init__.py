"""Models, one architecture per file; importing fills the registry ``models``."""

from optlab.models.context import ModelContext
from optlab.models.deep_linear import DeepLinear
from optlab.models.linear import LinearModel
from optlab.models.mlp import MLP
from optlab.models.perceptron import Line, Perceptron
from optlab.models.point import Point
from optlab.models.transformer import Transformer

__all__ = [
    "MLP",
    "DeepLinear",
    "Line",
    "LinearModel",
    "ModelContext",
    "Perceptron",
    "Point",
    "Transformer",
]
