"""Optimizers: rules written once for one tensor, the drivers that apply them, and their company."""

from optlab.optim.math import bias_correction, ema, ewma, root
from optlab.optim.regularizers import (
    Regularizer,
    clip_by_norm,
    clip_by_value,
    decay_step,
    is_weight,
    l1_penalty,
    l2_penalty,
    penalty_gradient,
)
from optlab.optim.rule import Hyper, Rule
from optlab.optim.rules import NAG, SGD, Adagrad, Adam, Momentum, RMSprop
from optlab.optim.schedules import Constant, Cosine, Linear, Schedule, Step
from optlab.optim.torch_optimizer import RuleOptimizer

__all__ = [
    "NAG",
    "SGD",
    "Adagrad",
    "Adam",
    "Constant",
    "Cosine",
    "Hyper",
    "Linear",
    "Momentum",
    "RMSprop",
    "Regularizer",
    "Rule",
    "RuleOptimizer",
    "Schedule",
    "Step",
    "bias_correction",
    "clip_by_norm",
    "clip_by_value",
    "decay_step",
    "ema",
    "ewma",
    "is_weight",
    "l1_penalty",
    "l2_penalty",
    "penalty_gradient",
    "root",
]
