"""Transformed optimizer classes that stand for all, for tests that run over every optimizer."""

from functools import partial

from optlab.optim import (
    NAG,
    SGD,
    Adagrad,
    Lion,
    Momentum,
    RuleOptimizer,
    averaged,
    cautious,
    lookahead,
    with_transforms,
)

#: Alone and together; around rules with a counter, without, with a decay and with an iterate.
CLASSES: list[type[RuleOptimizer]] = [
    with_transforms(Momentum, cautious),
    with_transforms(Lion, cautious),
    with_transforms(NAG, averaged),
    with_transforms(SGD, partial(averaged, decay=0.5, bias_correction=False)),
    with_transforms(SGD, partial(lookahead, steps=2)),
    with_transforms(NAG, partial(lookahead, steps=3)),
    with_transforms(Adagrad, cautious, partial(lookahead, steps=2), averaged),
]
