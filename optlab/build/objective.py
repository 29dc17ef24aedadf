"""What a run minimizes and measures, from its task and its loss."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from optlab import registry
from optlab.build.sections import Config, section
from optlab.config import ConfigError, bind
from optlab.nn import metrics
from optlab.nn.losses import Loss
from optlab.nn.losses import Objective as FunctionLoss
from optlab.tasks.base import Data, Metric, Split
from optlab.train import Objective


def loss_of(config: Config, default: str, data: Data) -> Loss:
    """Return the loss that a configuration chooses, or ``default`` for ``auto``.

    Raises:
        ConfigError: For a loss that does not fit the targets.
    """
    choice, options = section(config, "loss")
    if choice == "auto":
        choice = default
    if data.objective is not None or choice == "objective":
        return _function_loss(choice, options, data)
    loss: Loss = registry.losses.create(choice, options, "loss")
    loss.check_targets(data.num_classes)
    return loss


def _function_loss(choice: str, options: Config, data: Data) -> Loss:
    if data.objective is None or choice != "objective":
        raise ConfigError(
            f"loss {choice!r} does not go with this task: loss=objective is for test functions, "
            "and test functions take no other"
        )
    return FunctionLoss(function=data.objective, **bind(FunctionLoss, options, "loss"))


def encoded(data: Data, loss: Loss) -> Data:
    """Return the data with targets as the loss wants them."""
    classes = data.num_classes
    if classes is None:
        return data

    def encode(split: Split) -> Split:
        return Split(split.x, loss.encode(split.y, classes))

    return replace(data, train=encode(data.train), val=encode(data.val), test=encode(data.test))


def objective_of(data: Data, loss: Loss) -> Objective:
    """Return what is minimized, with the metrics that belong to the kind of targets."""
    objective = _objective_of_rows(data, loss)
    return objective if data.target_steps is None else objective.per_step()


def with_metrics(objective: Objective, own: Mapping[str, Metric], loss: Loss) -> Objective:
    """Return the objective with a task's own metrics, which see whole rows, all steps of each."""
    if not own:
        return objective

    def measure(output: Tensor, target: Tensor) -> dict[str, Tensor]:
        shown = loss.activate(output)
        found = {name: metric(shown, target) for name, metric in own.items()}
        return {**objective.measure(output, target), **found}

    return replace(objective, measure=measure, metric_names=(*objective.metric_names, *own))


def _objective_of_rows(data: Data, loss: Loss) -> Objective:
    if data.objective is not None:

        def point(output: Tensor) -> dict[str, Tensor]:
            return {f"point/x{i}": x for i, x in enumerate(output[0])}

        return Objective(loss, lambda output, target: {}, (), states=point)
    if data.num_classes is None:

        def error(output: Tensor, target: Tensor) -> dict[str, Tensor]:
            return {"rmse": metrics.mean_square_error(loss.activate(output), target)}

        return Objective(loss, error, ("rmse",), roots=("rmse",))

    def measure(output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"accuracy": metrics.accuracy(loss.predict(output), loss.labels(target))}

    return Objective(loss, measure, ("accuracy",))
