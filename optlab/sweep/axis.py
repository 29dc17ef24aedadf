"""What may differ between the runs of one program: what is a number, or initial, to its step.

The runs of a program share data, objective, rows of a batch, cadences and the shapes of their
weights (`optlab.train.stack.backend`). A section or option that is not named here splits them, and
so does whatever a plugin brings into the model: one program too many costs time, one too few would
be wrong. Imports no torch.
"""

from collections.abc import Mapping
from typing import Any

from optlab.identity import flatten

#: Sections that a run has of its own, their choice and all options.
OF_A_RUN = frozenset({"seed", "init", "optimizer", "transform", "schedule", "regularizer"})

#: Options of the trainer that a run has of its own: each stops when it will.
OF_A_RUN_IN_TRAINER = frozenset({"patience", "min_delta", "restore_best"})

#: Options of models that only say where weights begin; of a point's start the length is its shape.
START_IN_MODEL = {
    "lstm": frozenset({"forget_bias", "recurrent_init"}),
    "rnn": frozenset({"recurrent_gain", "recurrent_init"}),
}

#: Models in which ``dropout`` is a rate, and a rate of 0 leaves the layer out.
WITH_DROPOUT = frozenset({"lstm", "mlp", "rnn", "small_cnn", "transformer", "window_mlp"})

#: Activations without weights of their own: they and their options change no shape.
WEIGHTLESS = frozenset(
    {"elu", "identity", "leaky_relu", "relu", "selu", "sigmoid", "softmax", "step", "tanh"}
)


def splitting(section: str, value: Any) -> dict[str, Any]:
    """Return the dotted options of a section that all runs of a program have in common.

    Args:
        section: Top-level key of a configuration.
        value: What stands there.
    """
    if section in OF_A_RUN:
        return _of_others(value) if section == "optimizer" else {}
    if not isinstance(value, Mapping):
        return {section: value}
    if section == "activation" and value.get("name") in WEIGHTLESS:
        return {"activation.name": "weightless"}
    options = _SHARED.get(section, dict)(value)
    return flatten({section: options})


def refusal(config: Mapping[str, Any]) -> str:
    """Return why the run of a configuration can only train alone, or nothing."""
    if _of_others(config["optimizer"]):
        return "optimizer=foreign: an optimizer of others moves one run's weights"
    engine = config["trainer"]["engine"]
    if engine in ("functional", "plain"):
        return f"trainer.engine={engine}: an engine that trains one run"
    return ""


def _of_others(optimizer: Any) -> dict[str, Any]:
    """Return what sets apart runs whose optimizer is not optlab's: they are not stacked."""
    is_foreign = isinstance(optimizer, Mapping) and optimizer.get("name") == "foreign"
    return {"optimizer.name": "foreign"} if is_foreign else {}


def _of_model(options: Mapping[str, Any]) -> dict[str, Any]:
    name = str(options.get("name"))
    shared = {k: v for k, v in options.items() if k not in START_IN_MODEL.get(name, ())}
    if name == "point" and isinstance(options.get("start"), list):
        shared["start"] = f"{len(options['start'])} numbers"
    if name in WITH_DROPOUT and shared.get("dropout", 0) != 0:
        shared["dropout"] = "above 0"
    return shared


def _of_trainer(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k not in OF_A_RUN_IN_TRAINER}


_SHARED = {"model": _of_model, "trainer": _of_trainer}
