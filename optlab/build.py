"""From a resolved configuration to the objects of a run. The only module that knows every registry.

Importing it imports torch and everything that registers itself; the command line does so only once
a run really starts.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import optlab.models
import optlab.tasks  # noqa: F401 - fills the registry
from optlab import registry
from optlab.config import ConfigError, bind, check_value, unknown_name
from optlab.config.schema import NAMED_SECTIONS, OTHER_KEYS, DiagnosticsConfig, TrainerConfig
from optlab.init import initialize
from optlab.models.context import ModelContext
from optlab.nn import metrics
from optlab.nn.dropout import seed_dropout
from optlab.nn.losses import Loss
from optlab.nn.losses import Objective as FunctionLoss
from optlab.optim.regularizers import Regularizer, is_weight
from optlab.optim.transformed import Transform, transformed
from optlab.results import config_hash
from optlab.seeding import global_stream
from optlab.tasks.base import Data, Metric, Split
from optlab.train import Objective, Parts, RuleChoice, Sampler, Training
from optlab.types import Natural

Config = Mapping[str, Any]

#: Sections that decide what a run computes before its update.
STRUCTURE = ("task", "model", "norm", "activation", "loss", "plugins")


def build(config: Config, chosen: Collection[str] = ()) -> Training:
    """Make a run from its resolved configuration.

    Args:
        config: Every section, as ``config.yaml`` holds it.
        chosen: Sections that the user named; among these a choice without effect is refused.

    Raises:
        ConfigError: For anything in ``config`` that cannot be used, naming the dotted field.
    """
    return parts_of(config, chosen).training()


def parts_of(config: Config, chosen: Collection[str] = (), like: Parts | None = None) -> Parts:
    """Return what the run of a configuration is made of.

    Args:
        config: Every section, as ``config.yaml`` holds it.
        chosen: Sections that the user named; among these a choice without effect is refused.
        like: Parts of a run with the same task, loss, model, norm, device and dtype: its data and
            objective are used again, and what was found out about them is not asked again.

    Raises:
        ConfigError: For anything in ``config`` that cannot be used, naming the dotted field.
    """
    refuse_unknown_sections(config)
    trainer = TrainerConfig(**bind(TrainerConfig, config["trainer"], "trainer"))
    diagnostics = DiagnosticsConfig(**bind(DiagnosticsConfig, config["diagnostics"], "diagnostics"))
    device, dtype = resolve_device(config["device"]), getattr(torch, trainer.dtype)
    if like is None:
        task = _create(registry.tasks, config, "task")
        with global_stream(0, "cpu", "data"):  # all seeds have the same rows
            raw = task.load()
        loss = _loss(config, task.default_loss, raw)
        data = _encoded(raw, loss).to(device, dtype)
        objective = _with_metrics(_objective(raw, loss), getattr(task, "metrics", {}), loss)
        outputs = loss.num_outputs(raw.num_classes) if raw.num_classes else raw.num_outputs
    else:
        data, objective, outputs = like.data, like.objective, like.num_outputs
    module = _model(config, data, outputs, chosen).to(device, dtype)
    sampler = _sampler(config["seed"], trainer, len(data.train), device)
    if like is None:
        _refuse_other_scores(module, data, outputs, section(config, "model")[0])
        _refuse_single_row_statistics(module, data.train.x, sampler)
    regularizer, optimizer = update_of(config, trainer, module)
    schedule = _create(registry.schedules, config, "schedule").factor
    return Parts(
        module,
        objective,
        data,
        outputs,
        optimizer,
        regularizer,
        sampler,
        trainer,
        diagnostics,
        schedule,
        config_hash({key: config[key] for key in STRUCTURE} | {"dtype": trainer.dtype}),
    )


def resolve_device(name: str) -> torch.device:
    """Return the device called ``auto``, ``cpu`` or ``cuda`` (or ``cuda:N``).

    Raises:
        ConfigError: For another name, or for CUDA where there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = str(name).partition(":")
    if kind not in ("cpu", "cuda") or not (index == "" or index.isdecimal()):
        raise unknown_name("device", str(name), ("auto", "cpu", "cuda", "cuda:0"))
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} was asked for, but PyTorch sees {torch.cuda.device_count()} CUDA "
            "devices here; use device=cpu or device=auto"
        )
    return torch.device(name)


def refuse_unknown_sections(config: Config) -> None:
    """Refuse a configuration that has a section too many or too few, or no valid seed.

    Raises:
        ConfigError: Naming the section.
    """
    known = (*NAMED_SECTIONS, *OTHER_KEYS, "sweep")
    for key in config:
        if key not in known:
            raise unknown_name("section of the configuration", str(key), known)
    for key in (*NAMED_SECTIONS, *OTHER_KEYS):
        if key not in config:
            raise ConfigError(f"the configuration has no {key!r}; choose one with {key}=NAME")
    check_value(config["seed"], Natural, "seed")
    check_value(config["plugins"], list[str], "plugins")


def section(config: Config, name: str) -> tuple[str, dict[str, Any]]:
    """Return the choice and the options of a named section.

    Raises:
        ConfigError: When the section is not a mapping with a ``name``.
    """
    node = config[name]
    if not isinstance(node, Mapping) or "name" not in node:
        raise ConfigError(
            f"{name} must be a section with a name and options, got {node!r}; a resolved "
            f"configuration takes dotted values such as {name}.name=NAME"
        )
    options = {str(key): value for key, value in node.items() if key != "name"}
    return str(node["name"]), options


def _create(group: registry.Registry[Any], config: Config, name: str) -> Any:
    choice, options = section(config, name)
    return group.create(choice, options, name)


def _loss(config: Config, default: str, data: Data) -> Loss:
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


def _encoded(data: Data, loss: Loss) -> Data:
    """Return the data with targets as the loss wants them."""
    classes = data.num_classes
    if classes is None:
        return data

    def encode(split: Split) -> Split:
        return Split(split.x, loss.encode(split.y, classes))

    return replace(data, train=encode(data.train), val=encode(data.val), test=encode(data.test))


class _Part:
    """Makes the modules of one section, and knows whether any was asked for."""

    def __init__(self, config: Config, name: str, group: registry.Registry[Any]) -> None:
        self.name, self.group = name, group
        self.choice, self.options = section(config, name)
        self.used = False

    def __call__(self, *sizes: int) -> nn.Module:
        self.used = True
        return self.make(*sizes)

    def make(self, *sizes: int) -> nn.Module:
        made = self.group.create(self.choice, self.options, self.name)
        module: nn.Module = made(*sizes) if sizes else made
        return module


def _model(config: Config, data: Data, outputs: int, chosen: Collection[str]) -> nn.Module:
    activation = _Part(config, "activation", registry.activations)
    norm = _Part(config, "norm", registry.norms)
    activation.make()  # a wrong name or option is refused even by a model without hidden layers
    norm.make(1)
    has_norm = norm.choice != "none"
    context = ModelContext(
        data.input_shape,
        outputs,
        activation,
        norm if has_norm else None,
        data.vocabulary,
        data.target_steps,
    )
    module: nn.Module = _create(registry.models, config, "model")(context)
    initializer = _create(registry.initializers, config, "init")
    has_weights = initialize(module, initializer, config["seed"])
    seed_dropout(module, config["seed"])
    idle = [part.name for part in (activation,) if not part.used and part.name in chosen]
    idle += ["norm"] if has_norm and not norm.used else []
    idle += ["init"] if "init" in chosen and not has_weights else []
    for name in idle:
        raise ConfigError(
            f"{name}={section(config, name)[0]} would do nothing: model "
            f"{section(config, 'model')[0]!r} has no place for it; leave it out or change the model"
        )
    return module


def _refuse_other_scores(module: nn.Module, data: Data, outputs: int, model: str) -> None:
    """Refuse a model whose scores do not have the shape that the task's targets ask for."""
    steps = () if data.target_steps is None else (data.target_steps,)
    splits = {part.x.shape[1:]: part.x[:2] for part in (data.test, data.val, data.train)}
    for shape, rows in splits.items():
        wanted = (len(rows), *steps, outputs)
        try:
            with torch.no_grad():
                given = tuple(module.eval()(rows).shape)
        except (RuntimeError, ConfigError) as error:
            if shape == data.input_shape:
                raise
            raise ConfigError(
                f"model {model!r} is built for inputs of shape {data.input_shape} and cannot take "
                f"those of shape {tuple(shape)} that the task has elsewhere: {error}"
            ) from error
        if given != wanted:
            raise ConfigError(
                f"model {model!r} gives scores of shape {given} for {len(rows)} rows, and the task "
                f"needs {wanted}: (rows, {'last time steps, ' if steps else ''}outputs); choose "
                "another model for it"
            )
    module.train()


def _objective(data: Data, loss: Loss) -> Objective:
    objective = _objective_of_rows(data, loss)
    return objective if data.target_steps is None else objective.per_step()


def _with_metrics(objective: Objective, own: Mapping[str, Metric], loss: Loss) -> Objective:
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


def _sampler(seed: int, trainer: TrainerConfig, rows: int, device: torch.device) -> Sampler:
    size = rows if trainer.batch_size == "full" else min(int(trainer.batch_size), rows)
    return Sampler(rows, size, trainer.sampler, seed, device)


def _refuse_single_row_statistics(module: nn.Module, rows: Tensor, sampler: Sampler) -> None:
    """Refuse a batch of one row, before the first epoch ends in one, where statistics need two."""
    if (sampler.num_rows % sampler.batch_size or sampler.batch_size) > 1:
        return
    try:
        with torch.no_grad():
            copy.deepcopy(module).train()(rows[:1])
    except ConfigError as error:
        raise ConfigError(
            f"{sampler.num_rows} rows in batches of {sampler.batch_size} leave a batch of one row: "
            f"{error}"
        ) from error


def update_of(
    config: Config, trainer: TrainerConfig, module: nn.Module
) -> tuple[Regularizer, RuleChoice | Config]:
    """Return what is done to gradients, and the optimizer."""
    regularizer = Regularizer(**bind(Regularizer, config["regularizer"], "regularizer"))
    penalized = regularizer.l1 or regularizer.l2 or regularizer.decay
    if penalized and not any(is_weight(parameter) for parameter in module.parameters()):
        raise ConfigError(
            "l1, l2 and decay act on weight matrices, and model "
            f"{section(config, 'model')[0]!r} has none; use regularizer=none"
        )
    transform = Transform(**bind(Transform, config["transform"], "transform"))
    choice, options = section(config, "optimizer")
    if choice == "foreign":
        if transform.functions():
            raise ConfigError("optimizer=foreign takes no transform; use transform=none")
        if trainer.engine in ("functional", "native"):
            raise ConfigError(
                f"trainer.engine={trainer.engine} runs optlab's own rules; for optimizer=foreign "
                "use trainer.engine=auto"
            )
        return regularizer, options
    entry = registry.optimizers.get(choice)
    make = transformed(entry, transform)
    hyper = make.rule.hyper(**bind(entry.rule.hyper, options, "optimizer"))
    own_decay = getattr(hyper, "weight_decay", 0.0)
    if regularizer.decay and own_decay:
        raise ConfigError(
            f"weights would decay twice: {choice} has weight_decay={own_decay:g} of its own; set "
            "optimizer.weight_decay=0 or regularizer.decay=0"
        )
    return regularizer, RuleChoice(make, hyper)
