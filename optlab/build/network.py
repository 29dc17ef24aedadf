"""The network of a run, from its sections model, norm, activation and init."""

from collections.abc import Collection
from typing import Any

from torch import nn

from optlab import registry
from optlab.build.sections import Config, created, section
from optlab.config import ConfigError
from optlab.init import initialize
from optlab.models.context import ModelContext
from optlab.nn.dropout import seed_dropout
from optlab.tasks.base import Data


def network(config: Config, data: Data, outputs: int, chosen: Collection[str]) -> nn.Module:
    """Return the network with its first weights.

    Raises:
        ConfigError: For an option, or a choice among ``chosen`` that the model has no place for.
    """
    _refuse_other_kind(config, data)
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
    module: nn.Module = created(registry.models, config, "model")(context)
    initializer = created(registry.initializers, config, "init")
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


def _refuse_other_kind(config: Config, data: Data) -> None:
    """Refuse optlab's networks on test functions, and a point where there is none to move over."""
    task, model = (section(config, name)[0] for name in ("task", "model"))
    own = getattr(registry.models.get(model), "__module__", "").startswith("optlab.")
    if data.objective is not None and model != "point" and own:
        raise ConfigError(
            f"task={task} is a test function, whose coordinates are all there is to train: it goes "
            f"with model=point, which it brings along, got model={model}"
        )
    if data.objective is None and model == "point":
        raise ConfigError(
            f"model=point is a point on a test function, and task={task} has rows to learn from; "
            "choose model=mlp, or a task such as rosenbrock"
        )


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
