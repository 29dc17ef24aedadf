"""How gradients become steps, from the sections optimizer, transform and regularizer."""

from torch import nn

from optlab import registry
from optlab.build.sections import Config, section
from optlab.config import ConfigError, bind, check_value
from optlab.config.schema import TrainerConfig
from optlab.optim.regularizers import Regularizer, is_weight
from optlab.optim.transformed import Transform, transformed
from optlab.train import RuleChoice
from optlab.types import NonNegative


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
        check_value(options.get("lr"), NonNegative | None, "optimizer.lr")
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
    hyper = make.rule.hyper(**registry.optimizers.bind(choice, options, "optimizer"))
    own_decay = getattr(hyper, "weight_decay", 0.0)
    if regularizer.decay and own_decay:
        raise ConfigError(
            f"weights would decay twice: {choice} has weight_decay={own_decay:g} of its own; set "
            "optimizer.weight_decay=0 or regularizer.decay=0"
        )
    return regularizer, RuleChoice(make, hyper)
