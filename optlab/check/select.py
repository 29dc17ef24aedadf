"""Which optimizers a command line means: a name, or what a module registers."""

import importlib.util

from optlab import plugins, registry
from optlab.config import ConfigError, unknown_name
from optlab.optim.torch_optimizer import RuleOptimizer

Found = list[tuple[str, type[RuleOptimizer]]]


def select(module: str, name: str | None = None) -> Found:
    """Return names and classes of optimizers, in order of name.

    Args:
        module: An optimizer's name, or a module to import; the current folder is searched too.
            ``my_rule.py`` means ``my_rule``.
        name: One of the optimizers that the module registers; all of them if None.

    Raises:
        ConfigError: When there is no such name or module, it cannot be imported, or it registers
            no optimizer made of a rule.
    """
    module = module.removesuffix(".py").strip("./").replace("/", ".")
    if name is None and module in registry.optimizers:
        return [_checkable(module)]
    plugins.search_current_folder()
    if "." not in module and importlib.util.find_spec(module) is None:
        raise unknown_name("optimizer or module", module, registry.optimizers)
    found = _registered_by(module)
    if not found:
        raise ConfigError(
            f'{module} registers no optimizer; put @optimizers.register("NAME") above its class'
        )
    if name is not None and name not in found:
        raise unknown_name(f"optimizer of {module}", name, found)
    return [_checkable(each) for each in ([name] if name is not None else found)]


def _registered_by(module: str) -> list[str]:
    """Import a module; return the names of what it registered, now or when it was imported."""
    before = set(registry.optimizers)
    plugins.import_plugins([module])
    return [
        name
        for name, entry in registry.optimizers.items()
        if name not in before or f"{entry.__module__}.".startswith(f"{module}.")
    ]


def _checkable(name: str) -> tuple[str, type[RuleOptimizer]]:
    entry = registry.optimizers.get(name)
    if not (isinstance(entry, type) and issubclass(entry, RuleOptimizer)):
        raise ConfigError(
            f"optimizer {name!r} is not a subclass of RuleOptimizer, so it has no rule to check"
        )
    return name, entry
