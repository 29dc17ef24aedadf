"""A run's ``config.yaml`` to start from, wherever it comes from: values, and nothing that acts.

Given to Hydra as it lies there, such a file could name callbacks, and so could any file beside it,
whose folder Hydra would search. Here it is read as data, and Hydra gets what it says of the run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from optlab.config import ConfigError
from optlab.files import DamagedFileError, content_of, digest_of
from optlab.sections import refuse_growth
from optlab.sweep.run_folder import PRIMARY

#: Bytes of a configuration file.
LARGEST = 2**20


def stored(path: Path) -> str:
    """Make a run's configuration known to Hydra and return the name to choose it by.

    Raises:
        ConfigError: When the file cannot be read, or says more than the values of a run.
    """
    content = _content(path)
    config = _values(path, content)
    for section in (*PRIMARY, "sweep"):
        if section in config and config[section] != PRIMARY.get(section):
            raise ConfigError(
                f"{path} has a section {section!r}, which is no part of a run: take it out, and "
                "give what it was for on the command line"
            )
    refers = next((text for text in _texts(config) if "${" in text), None)
    if refers is not None:
        raise ConfigError(
            f"{path} holds {refers!r}, which refers to something else: a run's configuration holds "
            "values alone"
        )
    name = f"run_{digest_of(content)}"
    run = {key: value for key, value in config.items() if key not in PRIMARY}
    ConfigStore.instance().store(name=name, node={"defaults": PRIMARY["defaults"], **run})
    return name


def _content(path: Path) -> bytes:
    try:
        return content_of(path, LARGEST)
    except (OSError, DamagedFileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read the configuration file {str(path)!r}: {reason}") from None


def _values(path: Path, content: bytes) -> Mapping[Any, Any]:
    """Return what a YAML file says, once nothing in it can grow when it is read."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8: {error}") from None
    refuse_growth(text)
    try:
        config = OmegaConf.create(text)  # reads 1e-3 as a number, which YAML 1.1 does not
    except (AssertionError, ValueError, LookupError, AttributeError, TypeError) as error:
        # What a number in place of sections raises, and a value that is not of its tag.
        raise ConfigError(
            f"{path} holds no configuration ({type(error).__name__}: {error})"
        ) from None
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{path} holds no configuration, but a list")
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    return values


def _texts(value: Any) -> Iterator[str]:
    """Return every text in nested values, keys among them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
