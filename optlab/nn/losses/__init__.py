"""Losses: plain functions of predictions, and classes that the registry ``losses`` knows."""

from optlab.nn.losses.base import Head, Loss
from optlab.nn.losses.choice import select_loss
from optlab.nn.losses.classes import BCE, CCE, BinaryLoss, Hinge, PerceptronLoss, SparseCCE
from optlab.nn.losses.encoding import label_encode, one_hot
from optlab.nn.losses.errors import MAE, MSE, ErrorLoss, HalfMSE, Huber
from optlab.nn.losses.functions import (
    bce,
    bce_with_logits,
    cce,
    cce_with_logits,
    half_mse,
    hinge,
    huber,
    mae,
    mse,
    perceptron_loss,
    sparse_cce,
    sparse_cce_with_logits,
)
from optlab.nn.losses.objective import Objective

__all__ = [
    "BCE",
    "CCE",
    "MAE",
    "MSE",
    "BinaryLoss",
    "ErrorLoss",
    "HalfMSE",
    "Head",
    "Hinge",
    "Huber",
    "Loss",
    "Objective",
    "PerceptronLoss",
    "SparseCCE",
    "bce",
    "bce_with_logits",
    "cce",
    "cce_with_logits",
    "half_mse",
    "hinge",
    "huber",
    "label_encode",
    "mae",
    "mse",
    "one_hot",
    "perceptron_loss",
    "select_loss",
    "sparse_cce",
    "sparse_cce_with_logits",
]
