"""One sentence for a terminal from what Hydra raised about something the user typed."""

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    OmegaConfBaseException,
)

from optlab.config import ConfigError, cut, shown, unknown_name, unknown_option
from optlab.sweep.refusal import SweepRefused

#: What a user may have done wrong; anything else is a fault of the program.
USER_ERRORS = (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError)


#: What to do about errors of the system.
FREE = "free some space and start the same line again"
ELSEWHERE = "make the folder writable, or choose another (sweep.dir, hydra.run.dir, report --to)"
REMEDIES = {
    errno.ENOSPC: FREE,
    errno.EDQUOT: FREE,
    errno.EFBIG: "allow longer files (ulimit -f) and start the same line again",
    errno.EIO: "see to the disk and start the same line again",
    errno.EROFS: ELSEWHERE,
    errno.EACCES: ELSEWHERE,
    errno.EPERM: ELSEWHERE,
    errno.ENOTDIR: "a file stands in its way: move it away, or choose another folder",
    errno.EEXIST: "a file stands in its way: move it away, or choose another folder",
}


def explain(error: BaseException) -> str:
    """Return the sentence: what was wrong, the value, what is allowed, nearest first."""
    if isinstance(error, ConfigError | SweepRefused):
        return str(error)
    if isinstance(error, yaml.YAMLError):
        return f"a configuration file is not valid YAML: {_first_line(str(error))}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _missing(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {shown(error.override)}: {_of_grammar(error.message)}"
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _system_error(error)
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(
        cause, ConfigAttributeError | ConfigKeyError
    ):
        return _unknown_key(cause)
    if isinstance(error, InterpolationKeyError):
        return _missing_key(error)
    if cause is not None and str(error).startswith("Error merging override"):
        return f"{_first_line(str(error))}: {_first_line(str(cause))}"
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


def _of_grammar(message: str) -> str:
    if "LexerNoViableAltException" in message:
        return "quotes that do not match, or characters that need quotes: KEY='\"VALUE\"'"
    return cut(_first_line(message))


@contextmanager
def reading() -> Iterator[None]:
    """Make a user's mistake of what Hydra and OmegaConf stumble over without a word of their own.

    Raises:
        ConfigError: For errors of Python that were raised in their code.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        if isinstance(error, USER_ERRORS) or not _is_of_hydra(error):
            raise
        raise ConfigError(_unreadable(error)) from error


def _is_of_hydra(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return str(place).partition(".")[0] in ("hydra", "omegaconf", "antlr4")


def _unreadable(error: BaseException) -> str:
    index = re.match(r"invalid literal for int\(\) with base 10: ('.*')", str(error))
    if index:
        return (
            f"a list has no option {index.group(1)}; give the list as a whole, such as "
            "'model.hidden=[64,32]'"
        )
    if isinstance(error, RecursionError):
        return "the line cannot be read: brackets lie too deep in one another"
    return f"the line cannot be read: {_first_line(str(error))}"


def _missing_key(error: Exception) -> str:
    found = re.match("Interpolation key '(.*)' not found", str(error))
    key = found.group(1) if found else "a key"
    section = key.partition(".")[0]
    return (
        f"the configuration has no {key}, which {getattr(error, 'full_key', 'another')} refers to; "
        f"choose one with {section}=NAME, or give the file all sections of a run's config.yaml"
    )


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
    where = f" ({error.filename})" if error.filename else ""
    remedy = REMEDIES.get(error.errno or 0)
    return f"{error.strerror or error}{where}" + (f"; {remedy}" if remedy else "")


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    noise = ("See http", "full_key: ", "object_type=")
    return " ".join(line for line in lines if not line.startswith(noise)) or text
