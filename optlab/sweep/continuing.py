"""``optlab train --resume DIR``: the run of a folder goes on there, as the run that it is."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from optlab.config import ConfigError
from optlab.identity import config_hash
from optlab.results import CONFIG_FILE
from optlab.sweep.hydra_app import launch
from optlab.sweep.job import run_job
from optlab.sweep.planned import of_the_run
from optlab.sweep.run_file import stored
from optlab.sweep.run_folder import GRID_FILE, LEDGER_FILE
from optlab.sweep.words import MULTIRUN_FLAGS

FLAG = "--resume"


def continue_run(arguments: Sequence[str]) -> None:
    """Do what is missing of the run in a folder.

    Args:
        arguments: ``--resume``, the folder, and words that leave the run what it is.

    Raises:
        ConfigError: For a folder without a run of its own, or words that make another run.
    """
    words = list(arguments)
    if MULTIRUN_FLAGS & set(words):
        raise ConfigError("one run goes on by itself: leave out -m, or use optlab sweep --resume")
    place = words.index(FLAG)
    folder, words = _folder(words[place + 1 : place + 2]), words[:place] + words[place + 2 :]
    identity = _identity(folder / CONFIG_FILE)

    def same_run(config: DictConfig) -> float:
        if _identity_of(config) != identity:
            raise ConfigError(
                f"these words make another run than the one in {folder}, which goes on as it "
                f"began; to start another one: optlab train {folder / CONFIG_FILE} KEY=VALUE"
            )
        return run_job(config)

    where = QuotedString(str(folder), Quote.single).with_quotes()
    launch([str(folder / CONFIG_FILE), *words, f"hydra.run.dir={where}"], same_run)


def _folder(words: Sequence[str]) -> Path:
    folder = Path(words[0]) if words else None
    if folder is None or not folder.is_dir():
        got = f"{words[0]!r}, which is none" if words else "nothing"
        raise ConfigError(f"give the run's folder, got {got}: optlab train --resume DIR")
    for place, what in ((folder, "holds a sweep"), (folder.absolute().parent, "is a sweep's")):
        if any((place / name).exists() for name in (LEDGER_FILE, GRID_FILE)):
            raise ConfigError(f"{folder} {what}, which goes on with: optlab sweep --resume {place}")
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"there is no run in {folder} to resume: it has no {CONFIG_FILE}")
    return folder


def _identity(path: Path) -> str:
    return _identity_of(ConfigStore.instance().load(f"{stored(path)}.yaml").node)


def _identity_of(config: DictConfig) -> str:
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(resolved, dict)
    return config_hash(of_the_run(resolved))
