"""What a configuration asks for that a user can hardly want: said before the run, and not refused.

A choice that would do nothing for certain is refused where it is read. Here stand combinations that
train, and give something else than their names promise.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from optlab.build.sections import Config
from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.nn.dropout import Dropout
from optlab.optim.regularizers import is_weight
from optlab.train import Parts


@dataclass(frozen=True)
class Built:
    """What of a built run its configuration does not say.

    Attributes:
        num_rows: Training rows.
        modules: Names of the classes of its modules.
        is_symmetric: Whether all units of every hidden layer begin with the same weights.
        is_dropping: Whether there is dropout, which tells units apart.
    """

    num_rows: int
    modules: frozenset[str]
    is_symmetric: bool
    is_dropping: bool

    @classmethod
    def of(cls, parts: Parts) -> "Built":
        """Look at a run before it trains."""
        modules = list(parts.module.modules())
        return cls(
            len(parts.data.train),
            frozenset(type(module).__name__ for module in modules),
            _is_symmetric(parts.module),
            any(isinstance(module, Dropout) for module in modules),
        )


def cautions(config: Config, built: Built) -> list[str]:
    """Return a sentence for everything about a valid configuration that is probably a mistake.

    Args:
        config: Every section, as `parts_of` took it.
        built: What `parts_of` made of it.
    """
    case = _Case(config, built, TrainerConfig(**config["trainer"]))
    return [sentence for caution in _CAUTIONS for sentence in caution(case)]


@dataclass(frozen=True)
class _Case:
    """A configuration, and what is read off it more than once."""

    config: Config
    built: Built
    trainer: TrainerConfig

    @property
    def num_updates(self) -> int:
        rows, size = self.built.num_rows, self.trainer.batch_size
        return self.trainer.epochs * math.ceil(rows / (rows if size == "full" else min(size, rows)))

    def value(self, section: str, option: str, default: Any = None) -> Any:
        return self.config[section].get(option, default)


def _of_batches(case: _Case) -> Iterator[str]:
    size, rows = case.trainer.batch_size, case.built.num_rows
    if size != "full" and size != TrainerConfig.batch_size and size > rows:
        yield (
            f"trainer.batch_size={size} is more than the {rows} training rows: an update takes all "
            "of them, as with trainer.batch_size=full"
        )
    optimizer = str(case.value("optimizer", "name"))
    promised = {"sgd": (1, "one row"), "batch_gd": ("full", "all rows")}
    if optimizer in promised and size != promised[optimizer][0]:
        yield (
            f"optimizer={optimizer} is gradient descent on {promised[optimizer][1]} at a time, and "
            f"trainer.batch_size={size} makes mini-batches of it: that is optimizer=minibatch_gd"
        )


def _of_epochs(case: _Case) -> Iterator[str]:
    updates = case.num_updates
    if updates == 0:
        return
    for section, name, default in _CADENCES:
        every = case.value(section, name, default)
        if every not in (default, 0) and every > updates:
            yield (
                f"{section}.{name}={every} is more than the {updates} updates of the run, so it "
                "comes round not once"
            )
    steps = case.value("transform", "lookahead_steps", 0)
    if steps > updates:
        yield (
            f"transform.lookahead_steps={steps} is more than the {updates} updates of the run: "
            "the slow weights never move, and nothing is done"
        )
    warmup = case.value("optimizer", "warmup_steps", 0)
    if isinstance(warmup, int | float) and warmup > updates:
        yield (
            f"optimizer.warmup_steps={warmup} is more than the {updates} updates of the run: the "
            "learning rate never comes to optimizer.lr"
        )


def _of_early_stopping(case: _Case) -> Iterator[str]:
    trainer = case.trainer
    patience, every = trainer.patience, trainer.eval_every
    looks = math.ceil(trainer.epochs / every)
    if patience is None:
        for name in ("min_delta", "restore_best"):
            if (value := getattr(trainer, name)) != getattr(TrainerConfig, name):
                yield f"trainer.{name}={str(value).lower()} does nothing without trainer.patience"
    elif 0 < looks <= patience:
        yield (
            f"trainer.patience={patience} cannot stop this run, whose evaluations after its start "
            f"number {looks} (trainer.epochs={trainer.epochs}, trainer.eval_every={every})"
        )


def _of_methods(case: _Case) -> Iterator[str]:
    name, loss = str(case.value("optimizer", "name")), case.value("loss", "name")
    if case.value("optimizer", "lr") == 0:
        yield "optimizer.lr=0 leaves all weights where they begin"
    if "perceptron" in (loss, case.value("model", "name")) and name not in _GRADIENT_DESCENT:
        yield (
            f"{'loss' if loss == 'perceptron' else 'model'}=perceptron with optimizer={name} is "
            "not the perceptron's rule, which adds lr * y * x for rows that are wrong: that is "
            "loss=perceptron optimizer=sgd"
        )
    schedule = case.value("schedule", "name")
    if name.startswith("schedule_free") and schedule != "constant":
        yield (
            f"optimizer={name} averages its iterates in place of a falling learning rate, and "
            f"schedule={schedule} lowers the rate as well: leave the schedule constant"
        )


def _of_networks(case: _Case) -> Iterator[str]:
    built = case.built
    if "Softmax" in built.modules:
        yield (
            "activation=softmax stands between layers, where it makes units compete; scores become "
            "probabilities by the loss: loss=cce"
        )
    if "Step" in built.modules:
        yield (
            "activation=step has the derivative 0 everywhere: no layer before it learns by "
            "gradients"
        )
    if built.is_symmetric and not built.is_dropping:
        yield (
            f"init={case.value('init', 'name')} makes all units of a hidden layer alike, and they "
            "stay alike: the network learns no more than with one unit in each"
        )
    rate, position = case.value("model", "dropout"), case.value("model", "norm_position", "pre")
    if rate not in (None, 0) and not built.is_dropping:
        yield f"model.dropout={rate} does nothing: nothing hidden can be dropped here"
    if position != "pre" and case.value("norm", "name") == "none":
        yield f"model.norm_position={position} does nothing without a norm"


def _of_data(case: _Case) -> Iterator[str]:
    sampler = case.trainer.sampler
    if case.value("task", "sort_by_class") and sampler != "sequential":
        yield (
            f"task.sort_by_class=true is not seen with trainer.sampler={sampler}, which draws rows "
            "in an order of its own; use trainer.sampler=sequential"
        )
    threads, cores = case.trainer.threads, os.cpu_count() or 1
    if threads > cores:
        yield f"trainer.threads={threads} is more than the {cores} cores of this machine: slower"


def _of_histograms(case: _Case) -> Iterator[str]:
    every = case.value("diagnostics", "histograms_every")
    if every and not case.value("logger", "tensorboard"):
        yield (
            f"diagnostics.histograms_every={every} does nothing with logger.tensorboard=false: "
            "histograms go to TensorBoard alone"
        )


#: Cadences in updates, each with its default, which stands for runs of any length.
_CADENCES = (
    ("trainer", "log_every", TrainerConfig.log_every),
    *(("diagnostics", name, getattr(DiagnosticsConfig, name)) for name in ("every", "flow_every")),
)
_GRADIENT_DESCENT = ("sgd", "minibatch_gd", "batch_gd", "foreign")
_CAUTIONS: tuple[Callable[[_Case], Iterator[str]], ...] = (
    *(_of_batches, _of_epochs, _of_early_stopping),
    *(_of_methods, _of_networks, _of_data, _of_histograms),
)


def _is_symmetric(module: nn.Module) -> bool:
    """Return whether every weight but the last has equal rows, and there is one with several."""
    weights = [parameter for parameter in module.parameters() if is_weight(parameter)][:-1]
    return bool(weights) and all(map(_has_equal_rows, weights))


def _has_equal_rows(weight: Tensor) -> bool:
    return len(weight) > 1 and bool((weight == weight[:1]).all())
