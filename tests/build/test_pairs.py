"""Any two choices together: they train, or are refused in a sentence."""

import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from optlab.build import Built, cautions, parts_of
from optlab.catalog import groups
from optlab.config import ConfigError
from optlab.sweep.combining import combined

CONFIGS = Path(__file__).parents[2] / "configs"
#: They need files from the network.
FETCHED = {"mnist", "fashion_mnist", "cifar10"}
SHORT = ["trainer.epochs=1", "trainer.batch_size=full"]

CHOICES = [
    (path.parent.name, path.stem)
    for path in sorted(CONFIGS.glob("*/*.yaml"))
    if path.parent.name in groups().keys() - {"experiment"} and path.stem not in FETCHED
]
PAIRS = [(a, b) for a, b in combinations(CHOICES, 2) if a[0] != b[0]]
SAMPLE = random.Random(6).sample(PAIRS, 150)


class Compositions:
    """Composes single choices once, and pairs of them from these where they do not meet."""

    def __init__(self) -> None:
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def of(self, *choices: tuple[str, str]) -> dict[str, Any]:
        singles = [self._by_hydra(f"{group}={name}") for group, name in choices]
        config = combined(self._by_hydra(), singles)
        if config is None:
            config = self._by_hydra(*(f"{group}={name}" for group, name in choices))
        resolved: Any = OmegaConf.to_container(config, resolve=True)
        return {key: value for key, value in resolved.items() if key != "sweep"}

    def _by_hydra(self, *words: str) -> DictConfig:
        if words not in self._composed:
            self._composed[words] = compose("train", overrides=[*words, *SHORT])
        return self._composed[words]


@pytest.fixture(scope="module")
def compositions() -> Any:
    with initialize_config_module("optlab.configs", version_base="1.3"):
        yield Compositions()


def failure(config: dict[str, Any]) -> str | None:
    """Make one update; return what else than a `ConfigError` was raised, if anything."""
    try:
        parts = parts_of(config)
        cautions(config, Built.of(parts))
        parts.training().fit(lambda update, epoch, values: None)
    except ConfigError as error:
        return None if 20 < len(str(error)) < 500 else f"no sentence: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def failures(pairs: list[Any], compositions: Compositions) -> list[str]:
    found = ((a, b, failure(compositions.of(a, b))) for a, b in pairs)
    return [f"{'='.join(a)} {'='.join(b)}: {text}" for a, b, text in found if text]


def test_a_sample_of_pairs_trains_or_is_refused(compositions: Compositions) -> None:
    assert failures(SAMPLE, compositions) == []


@pytest.mark.slow
@pytest.mark.parametrize("group", sorted({group for group, _ in CHOICES}))
def test_every_pair_trains_or_is_refused(group: str, compositions: Compositions) -> None:
    """Of two groups the first is that of the test."""
    pairs = [(a, b) for a, b in PAIRS if a[0] == group]
    assert failures(pairs, compositions) == []
