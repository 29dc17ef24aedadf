"""All that the file of an optimizer imports from optlab.

    from optlab.optim.kit import Decay, Hyper, NonNegative, Rule, RuleOptimizer, optimizers

What to write, from top to bottom of the file:

- a `Hyper`: a frozen dataclass of the numbers, ``lr`` first, each with a range (`NonNegative`,
  `Positive`, `Decay` for [0, 1), `Fraction` for [0, 1], `Real`; others with `Range`)
  and a default; bools, ``Literal`` texts and whole numbers (`Count`, `Natural`) are static;
- ``init_state(param, hyper)``: what is remembered of one tensor, made with ``torch.zeros_like``;
  its counter, if any, with `zero_step`, another single number with `scalar`;
- ``update(grad, param, state, hyper)``: the paper's step for one tensor, as new tensors;
- a `RuleOptimizer` with the `Rule` of the three, entered under its name by
  ``@optimizers.register``.

The contract that these fulfil is in `optlab.optim.rule`; ``optlab check MODULE`` holds them to it.

Pieces of formulas that take numbers and tensors alike: `ema`, `bias_correction`, `root` (for
divisors), `decay_step`, `as_float64` (for powers of a counter), `larger`, `smaller`, `choose` and
`either` (instead of ``max``, ``min`` and ``if``, which would ask a tensor for its value).
"""

from optlab.optim.math import (
    EpsPlacement,
    Number,
    as_float64,
    bias_correction,
    choose,
    either,
    ema,
    larger,
    root,
    scalar,
    smaller,
    zero_step,
)
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Count, Decay, Fraction, Natural, NonNegative, Positive, Range, Real

__all__ = [
    "Count",
    "Decay",
    "EpsPlacement",
    "Fraction",
    "Hyper",
    "Natural",
    "NewState",
    "NonNegative",
    "Number",
    "Positive",
    "Range",
    "Real",
    "Rule",
    "RuleOptimizer",
    "State",
    "as_float64",
    "bias_correction",
    "choose",
    "decay_step",
    "either",
    "ema",
    "larger",
    "optimizers",
    "root",
    "scalar",
    "smaller",
    "zero_step",
]
