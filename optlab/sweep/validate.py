"""Checks every run of a sweep before anything trains, by the code that will build it.

Sections that hold nothing but numbers are checked once for each content. What only shows when data,
model and loss meet, such as an activation that a model has no place for, is found by building one
run of each kind; the kinds of one data set and model load and try them once.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optlab import registry
from optlab.build import (
    Built,
    cautions,
    parts_of,
    refuse_unknown_sections,
    resolve_device,
    section,
    update_of,
)
from optlab.config import ConfigError, bind, check_value
from optlab.config.schema import DiagnosticsConfig, LoggerConfig, TrainerConfig
from optlab.nn import Linear
from optlab.plugins import import_plugins
from optlab.saying import warn
from optlab.seeding import global_stream
from optlab.sweep.bad_jobs import refuse_jobs
from optlab.sweep.cause import RUN_ERRORS
from optlab.sweep.consent import refuse_unnamed_code
from optlab.sweep.planned import PlannedRun
from optlab.train import Parts
from optlab.types import Natural

Config = Mapping[str, Any]

#: Sections with a class of their own.
SCHEMAS = {"trainer": TrainerConfig, "diagnostics": DiagnosticsConfig, "logger": LoggerConfig}
#: What decides how gradients become steps.
UPDATE = ("trainer", "regularizer", "transform", "optimizer")
#: What data, objective and the shapes of the model come from.
SHAPE = ("task", "loss", "model", "norm", "device")
#: Options of the trainer on which the first batch depends.
BATCH = ("batch_size", "sampler", "dtype")
#: Penalties that need a model with weights.
PENALTIES = ("l1", "l2", "decay")


def refuse_invalid(runs: Sequence[PlannedRun]) -> None:
    """Refuse a sweep some of whose runs cannot be built.

    Raises:
        ConfigError: Naming the runs, each with the reason that `optlab.build.build` would give.
    """
    check = _Check()
    mistakes: dict[int, tuple[str, str]] = {}
    for run in sorted(runs, key=lambda run: _text(_shape(run.config))):
        try:
            check(run)
        except ConfigError as error:
            mistakes[run.number] = (run.name, str(error))
        except RUN_ERRORS:
            pass  # of a plugin: it fails again where it is trained, and is recorded there
    refuse_jobs([mistakes[number] for number in sorted(mistakes)], len(runs))
    for caution, number in check.cautions.items():
        of = "" if number == len(runs) else f"{number} of {len(runs)} runs: "
        warn(f"[optlab] {of}{caution}")


class _Check:
    """Checks runs one after another, and nothing twice.

    Data can be large, so it is kept only until the next run needs other data or another model.
    """

    def __init__(self) -> None:
        self._found: dict[str, ConfigError | None] = {}
        self._latest: tuple[str, Parts] | None = None
        self._built: dict[str, Built] = {}
        self.cautions: Counter[str] = Counter()

    def __call__(self, run: PlannedRun) -> None:
        config = run.config
        refuse_unnamed_code(config, run.overrides)
        import_plugins(config.get("plugins") or [])
        refuse_unknown_sections(config)
        for name in SCHEMAS:
            self._once(_check_options, name, config[name])
        self._once(_check_update, {name: config[name] for name in UPDATE})
        self._once(_check_schedule, {"schedule": config["schedule"]})
        kind = _kind(run)
        self._once(lambda *_: self._build(run, kind), kind)
        self.cautions.update(cautions(config, self._built[_text(kind)]))

    def _once(self, check: Callable[..., object], *arguments: Any) -> None:
        """Check, or raise again what the same check of the same thing raised."""
        key = _text([check.__name__, *arguments])
        if key not in self._found:
            try:
                check(*arguments)
                self._found[key] = None
            except ConfigError as error:
                self._found[key] = error
        if (error_before := self._found[key]) is not None:
            raise error_before

    def _build(self, run: PlannedRun, kind: Config) -> None:
        config = run.config
        seed = check_value(config["seed"], Natural, "seed")
        shape = _text(_shape(config))
        like = self._latest[1] if self._latest and self._latest[0] == shape else None
        with global_stream(seed, str(resolve_device(config["device"]))):
            parts = parts_of(config, run.chosen, like)
            if section(config, "optimizer")[0] == "foreign":
                parts.run()  # its class alone knows its options
        self._latest, self._built[_text(kind)] = (shape, parts), Built.of(parts)


def _check_options(name: str, options: Config) -> None:
    SCHEMAS[name](**bind(SCHEMAS[name], options, name))


def _check_update(config: Config) -> None:
    trainer = TrainerConfig(**bind(TrainerConfig, config["trainer"], "trainer"))
    update_of(config, trainer, Linear(1, 1))  # a module that has weights to penalize


def _check_schedule(config: Config) -> None:
    choice, options = section(config, "schedule")
    registry.schedules.create(choice, options, "schedule")


def _shape(config: Config) -> dict[str, Any]:
    """Return what data, model and first batch come from, as far as the configuration has it."""
    trainer = config.get("trainer")
    batch = {name: trainer.get(name) for name in BATCH} if isinstance(trainer, Mapping) else {}
    return {name: config.get(name) for name in SHAPE} | batch


def _kind(run: PlannedRun) -> dict[str, Any]:
    """Return what decides whether a run can be built, once its numbers are known to be right."""
    config = run.config
    optimizer = config["optimizer"]
    return _shape(config) | {
        "activation": config["activation"],
        "init": config["init"],
        "optimizer": optimizer if section(config, "optimizer")[0] == "foreign" else None,
        "penalized": any(config["regularizer"].get(name) for name in PENALTIES),
        "chosen": sorted(run.chosen),
    }


def _text(value: Any) -> str:
    return json.dumps(value, default=str, sort_keys=True)
