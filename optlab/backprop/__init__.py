"""Backpropagation by hand in plain tensors: no modules, no autograd, the course notes' own names.

Each file is one page of the notes, to be read beside it:

- `layers`: a network of sigmoid layers, 4-3-2-1 in the notes, forward (rows MLP-01 to MLP-06) and
  backward layer by layer (rows BPR-04 and BPR-05);
- `two_two_one`: the regression network with nine parameters, all nine derivatives written out
  (rows BPR-02 and BPR-03);
- `perceptrons`: gates, and XOR put together from them (row PER-09);
- `chain`: the factors that make a gradient vanish or explode (rows GRD-02 and GRD-06);
- `training`: the loop that trains either network row by row (row BPR-01).

Parameters are a dictionary from the notes' names to tensors, and so are gradients.
"""

from optlab.backprop.chain import UnitChain, sigmoid_slope
from optlab.backprop.layers import LOSSES, Layers, named_numbers, propagate, propagate_row
from optlab.backprop.perceptrons import AND, NAND, OR, step, xor_by_hand
from optlab.backprop.training import (
    Network,
    Parameters,
    random_rows,
    shuffled_rows,
    train_backprop,
    update,
)
from optlab.backprop.two_two_one import TwoTwoOne

__all__ = [
    "AND",
    "LOSSES",
    "NAND",
    "OR",
    "Layers",
    "Network",
    "Parameters",
    "TwoTwoOne",
    "UnitChain",
    "named_numbers",
    "propagate",
    "propagate_row",
    "random_rows",
    "shuffled_rows",
    "sigmoid_slope",
    "step",
    "train_backprop",
    "update",
    "xor_by_hand",
]
