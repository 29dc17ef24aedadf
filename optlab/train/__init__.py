"""Training: the pure step, the runs that execute it, the one loop, samplers and early stopping."""

from optlab.train.alone import train_alone
from optlab.train.early_stopping import EarlyStopping
from optlab.train.foreign import foreign_run
from optlab.train.functional import FunctionalRun
from optlab.train.objective import Objective
from optlab.train.parts import Parts, RuleChoice
from optlab.train.plain import PlainRun
from optlab.train.run import Run
from optlab.train.samplers import Sampler
from optlab.train.standing import Outcome
from optlab.train.step import RunState, initial_state, make_run_step
from optlab.train.training import Training

__all__ = [
    "EarlyStopping",
    "FunctionalRun",
    "Objective",
    "Outcome",
    "Parts",
    "PlainRun",
    "RuleChoice",
    "Run",
    "RunState",
    "Sampler",
    "Training",
    "foreign_run",
    "initial_state",
    "make_run_step",
    "train_alone",
]
