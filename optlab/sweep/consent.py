"""Code that a configuration names runs only when the command line names it too.

Importing a module runs it. A configuration that came with a run, a preset or a ledger may be
another's, so the modules of its plugins and of a foreign optimizer have to be typed.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from optlab.config import ConfigError

#: Where optimizers are found that are no stranger's: importing it runs nothing new.
KNOWN = "torch.optim."
#: Choices among what is installed.
CHOICES = ("hydra/launcher", "hydra/sweeper")


def refuse_unnamed_code(config: Mapping[str, Any], words: Iterable[str]) -> None:
    """Refuse a configuration that names code which the words of the command line do not name.

    Args:
        config: Resolved configuration of a run.
        words: Overrides as typed.

    Raises:
        ConfigError: With the word to add.
    """
    typed = {_key(word) for word in words}
    for key, name in _named_code(config):
        if not any(key == each or key.startswith(f"{each}.") for each in typed - {"optimizer"}):
            word = shlex.quote(f"{key}={name}")
            raise ConfigError(
                f"the configuration names code to run, {key}={name}, and the command line does "
                f"not: look at that code, then add {word}"
            )


def words_with_code(words: Sequence[str]) -> list[str]:
    """Return those words of a command line that can make code run, apart from optlab's own."""
    return [word for word in words if word.startswith("-") or _may_run(word)]


def _may_run(word: str) -> bool:
    key, value = _key(word), word.partition("=")[2]
    if key in CHOICES:
        return False
    if key == "plugins" or key.startswith("hydra"):
        return True
    return _is_import(key.split(".")) and not value.startswith(KNOWN)


def _named_code(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return keys and values at which a configuration names code."""
    plugins = config.get("plugins")
    if plugins:
        listed = ",".join(map(str, plugins)) if isinstance(plugins, list) else str(plugins)
        yield "plugins", f"[{listed}]"
    optimizer = config.get("optimizer")
    if isinstance(optimizer, Mapping) and optimizer.get("name") == "foreign":
        yield from _targets(optimizer, ["optimizer"])


def _targets(options: Mapping[Any, Any], path: list[str]) -> Iterator[tuple[str, str]]:
    for key, value in options.items():
        place = [*path, str(key)]
        if isinstance(value, Mapping):
            yield from _targets(value, place)
        elif _is_import(place) and isinstance(value, str) and not value.startswith(KNOWN):
            yield ".".join(place), value


def _is_import(place: Sequence[str]) -> bool:
    """Say whether an option is one that `optlab.optim.foreign` imports."""
    is_inside = place[0] == "optimizer" and len(place) > 1
    return is_inside and (place[-1] == "target" or "optimizer" in place[-1])


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0].partition("@")[0]
