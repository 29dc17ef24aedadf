"""Normalization by the statistics of a batch or of a row."""

from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d
from optlab.nn.normalization.folding import fold_batchnorm
from optlab.nn.normalization.layernorm import LayerNorm, LayerNorm2d

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm", "LayerNorm2d", "fold_batchnorm"]
