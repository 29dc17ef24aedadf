"""Models, one architecture per file; importing fills the registry ``models``."""

from optlab.models.context import ModelContext
from optlab.models.linear import LinearModel
from optlab.models.mlp import MLP
from optlab.models.perceptron import Line, Perceptron
from optlab.models.point import Point

__all__ = ["MLP", "Line", "LinearModel", "ModelContext", "Perceptron", "Point"]
