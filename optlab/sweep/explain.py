"""One sentence for a terminal from what Hydra raised about something the user typed."""

import errno
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from optlab.config import ConfigError, unknown_name, unknown_option
from optlab.sweep.refusal import SweepRefused

#: What a user may have done wrong; anything else is a fault of the program.
USER_ERRORS = (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError)


def explain(error: BaseException) -> str:
    """Return the sentence: what was wrong, the value, what is allowed, nearest first."""
    if isinstance(error, ConfigError | SweepRefused):
        return str(error)
    if isinstance(error, yaml.YAMLError):
        return f"a configuration file is not valid YAML: {_first_line(str(error))}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _missing(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {error.override!r}: {_first_line(error.message)}"
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _system_error(error)
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(
        cause, ConfigAttributeError | ConfigKeyError
    ):
        return _unknown_key(cause)
    fixed = re.match(r"Could not override '(\w+)'", str(error))
    if fixed:
        name = fixed.group(1)
        return (
            f"{name} is fixed by this resolved configuration, which has no choices left: give "
            f"single values such as {name}.KEY=VALUE, or start from the groups without the file"
        )
    if "does not support sweep type : INTERVAL_SWEEP" in str(error):
        return (
            "Hydra's sweeper does not know interval(...): use hydra/sweeper=optlab (optlab sweep) "
            "with sweep.search=halton sweep.trials=N, or list values with range(a,b,step)"
        )
    return _first_line(str(error))


def _missing(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if error.options is None:
        return f"no configuration called {name!r} was found; --config-name takes a file's name"
    return str(unknown_name(group or "choice", name, error.options))


def _unknown_key(cause: Any) -> str:
    """Word a key that the configuration does not have; its parent knows the ones it has."""
    path = str(cause.full_key)
    parent, _, name = path.rpartition(".")
    node = cause.parent_node
    known = [str(k) for k in node if k != "hydra"] if node is not None else []
    if parent:
        options = [option for option in known if option != "name"]
        if "name" not in known:
            return str(unknown_name(f"option of {parent}", name, options))
        having = _choices_with(parent, name)
        return str(unknown_option(parent, str(node["name"]), name, options, having))
    inside = [f"{k}.{name}" for k in known if name in (node.get(k) if _is_section(node, k) else ())]
    hint = f"; did you mean {' or '.join(inside)}?" if inside else ""
    return f"{unknown_name('section', name, [*known, 'experiment'])}{hint}"


def _choices_with(group: str, option: str) -> set[str]:
    """Return the named choices of a group whose packaged files have an option."""
    folder = files("optlab.configs").joinpath(group)
    texts = [file.read_text("utf-8") for file in folder.iterdir()] if folder.is_dir() else []
    found = [yaml.safe_load(text) for text in texts]
    sections = [content.get(group, content) for content in found]
    return {str(each["name"]) for each in sections if option in each and "name" in each}


def _is_section(node: Any, key: str) -> bool:
    return isinstance(node.get(key), Mapping)


def _system_error(error: OSError) -> str:
    remedy = {
        errno.ENOSPC: "; free some space and start the same line again",
    }
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}{remedy.get(error.errno or 0, '')}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith("See http")) or text
