"""The parts of a run, and the training that they make."""

from collections.abc import Collection
from contextlib import nullcontext

import torch

from optlab import registry
from optlab.build.network import network
from optlab.build.objective import encoded, loss_of, objective_of, with_metrics
from optlab.build.refusals import (
    refuse_other_scores,
    refuse_single_row_statistics,
    refusing_too_large,
)
from optlab.build.sections import (
    Config,
    created,
    refuse_unknown_sections,
    resolve_device,
    section,
)
from optlab.build.update import update_of
from optlab.config import bind
from optlab.config.schema import DiagnosticsConfig, LoggerConfig, TrainerConfig
from optlab.identity import config_hash
from optlab.seeding import global_stream
from optlab.train import Parts, Sampler, Training

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
    LoggerConfig(**bind(LoggerConfig, config["logger"], "logger"))
    device, dtype = resolve_device(config["device"]), getattr(torch, trainer.dtype)
    if like is None:
        task = created(registry.tasks, config, "task")
        # All seeds have the same rows.
        with global_stream(0, "cpu", "data"), refusing_too_large(config, "task"):
            raw = task.load()
        loss = loss_of(config, task.default_loss, raw)
        data = encoded(raw, loss).to(device, dtype)
        objective = with_metrics(objective_of(raw, loss), getattr(task, "metrics", {}), loss)
        outputs = loss.num_outputs(raw.num_classes) if raw.num_classes else raw.num_outputs
    else:
        data, objective, outputs = like.data, like.objective, like.num_outputs
    with refusing_too_large(config, "model") if like is None else nullcontext():
        module = network(config, data, outputs, chosen).to(device, dtype)
    sampler = _sampler(config["seed"], trainer, len(data.train), device)
    if like is None:
        refuse_other_scores(module, data, outputs, section(config, "model")[0])
        refuse_single_row_statistics(module, data.train.x, sampler)
    regularizer, optimizer = update_of(config, trainer, module)
    schedule = created(registry.schedules, config, "schedule").factor
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


def _sampler(seed: int, trainer: TrainerConfig, rows: int, device: torch.device) -> Sampler:
    size = rows if trainer.batch_size == "full" else min(int(trainer.batch_size), rows)
    return Sampler(rows, size, trainer.sampler, seed, device)
