"""Layers, activations, losses and metrics, written by hand; importing fills their registries."""

from optlab.nn import losses, metrics
from optlab.nn.activations import (
    ELU,
    SELU,
    Activation,
    Identity,
    LeakyReLU,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
)
from optlab.nn.attention import MultiHeadAttention, attention
from optlab.nn.dropout import Dropout, seed_dropout
from optlab.nn.embedding import Embedding
from optlab.nn.images import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d
from optlab.nn.linear import Linear
from optlab.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    LayerNorm,
    LayerNorm2d,
    fold_batchnorm,
)
from optlab.nn.normalization.norms import batchnorm, layernorm, no_norm
from optlab.nn.recurrent import LSTM, RNN, LSTMCell, RNNCell

__all__ = [
    "ELU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "GlobalAvgPool2d",
    "Identity",
    "LSTMCell",
    "LayerNorm",
    "LayerNorm2d",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "MultiHeadAttention",
    "PReLU",
    "RNNCell",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Step",
    "Tanh",
    "attention",
    "batchnorm",
    "fold_batchnorm",
    "layernorm",
    "losses",
    "metrics",
    "no_norm",
    "seed_dropout",
]
