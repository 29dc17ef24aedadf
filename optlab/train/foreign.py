"""A run under an optimizer of others, called the way its class wants to be called."""

import copy
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim.foreign import foreign_optimizer
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Split
from optlab.train.objective import Objective
from optlab.train.plain import Call, PlainRun

#: Rows of the update that is tried.
TRIAL_ROWS = 32


def foreign_run(
    options: Mapping[str, Any],
    module: nn.Module,
    objective: Objective,
    data: Split,
    regularizer: Regularizer,
) -> PlainRun:
    """Return a run of ``module`` under the optimizer that ``options`` describe.

    Nothing says how a class wants its ``step`` called, so the first update is tried on a copy:
    without arguments, with a closure (SAM, AliG, L-BFGS), on gradients that can be differentiated
    again (AdaHessian). The global random streams are left where they were.

    Args:
        options: As for `optlab.optim.foreign.foreign_optimizer`.
        module: The model.
        objective: What is minimized and measured.
        data: Training rows.
        regularizer: Penalties, decay and clipping.

    Raises:
        ConfigError: When the optimizer cannot be made, or fails however it is called.
    """
    rows = torch.arange(min(TRIAL_ROWS, len(data)), device=next(module.parameters()).device)

    def run_of(module: nn.Module, call: Call) -> PlainRun:
        optimizer = foreign_optimizer(options, module)
        return PlainRun(module, objective, data, optimizer, regularizer, call)

    failures: list[Exception] = []
    for call in get_args(Call):
        trial = partial(run_of, copy.deepcopy(module).train(), call)
        failure = _failure_of_one_update(trial, rows)
        if failure is None:
            return run_of(module, call)
        failures.append(failure)
        if isinstance(failure, NotImplementedError):
            break  # another way to compute gradients would only hide that it has no step
    raise ConfigError(_explain(str(options["target"]), failures[0])) from failures[0]


def _failure_of_one_update(make: Callable[[], PlainRun], rows: Tensor) -> Exception | None:
    """Make a run and one update; return what the optimizer raised.

    The trial is kept to itself: its random draws are undone and its warnings not shown.
    """
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = make()
            run.step(rows, 1.0)
        except ConfigError:
            raise
        except Exception as error:
            return error
        return None if run.gradients() else NotImplementedError()


def _explain(target: str, failure: Exception) -> str:
    if isinstance(failure, NotImplementedError):
        return (
            f"{target} has no step of its own: it changes weights while gradients are computed, "
            "where no schedule, regularizer or diagnostic can act; choose another "
            "(optimizer.target)"
        )
    reason = f"{type(failure).__name__}: {failure}"
    return f"{target} failed in its first update, on a copy: {reason} (optimizer)"
