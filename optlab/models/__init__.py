"""Models, one architecture per file; importing fills the registry ``models``."""

from optlab.models import lstm, rnn  # noqa: F401 - register what they build
from optlab.models.context import ModelContext
from optlab.models.deep_linear import DeepLinear
from optlab.models.linear import LinearModel
from optlab.models.mlp import MLP
from optlab.models.perceptron import Line, Perceptron
from optlab.models.point import Point
from optlab.models.recurrent import RecurrentModel
from optlab.models.resnet import ResNet
from optlab.models.rnn_feedback import FeedbackRNN
from optlab.models.rnn_units import Units
from optlab.models.small_cnn import SmallCNN
from optlab.models.transformer import Transformer
from optlab.models.window_mlp import WindowMLP

__all__ = [
    "MLP",
    "DeepLinear",
    "FeedbackRNN",
    "Line",
    "LinearModel",
    "ModelContext",
    "Perceptron",
    "Point",
    "RecurrentModel",
    "ResNet",
    "SmallCNN",
    "Transformer",
    "Units",
    "WindowMLP",
]
