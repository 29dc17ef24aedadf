"""``optlab landscape RUN``: the loss of a trained network around its weights, as a page."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from optlab.config import ConfigError
from optlab.landscape.maps import Mapped, along_path, around_end
from optlab.landscape.retraced import Retraced, parameters, retraced
from optlab.report.html import write_page
from optlab.report.page import Section
from optlab.report.pictures import write_pictures
from optlab.report.tables import write_tables
from optlab.results import CONFIG_FILE
from optlab.saying import say, warn
from optlab.sweep.consent import refuse_unnamed_code
from optlab.sweep.hydra_app import launch
from optlab.sweep.planned import chosen_sections, of_the_run

WEIGHTS_FILE, FOLDER, PAGE_FILE = "weights.pt", "landscape", "landscape.html"


@dataclass(frozen=True)
class Asked:
    """What was typed after ``optlab landscape``.

    Attributes:
        run: The run's folder.
        words: Overrides, which make another run of it, or consent to its code.
        points: Points of a map along each direction.
        span: How far a random slice goes to each side, in lengths of the weights.
        seed: Of the random directions.
    """

    run: Path
    words: tuple[str, ...]
    points: int
    span: float
    seed: int


def asked(arguments: Sequence[str]) -> Asked:
    """Read what was typed.

    Raises:
        ConfigError: For an unknown flag, a value that is not allowed, or a folder without a run.
    """
    parser = _Parser(prog="optlab landscape", add_help=False, allow_abbrev=False)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--points", type=int, default=31)
    parser.add_argument("--span", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    typed = parser.parse_intermixed_args(list(arguments))
    if not 3 <= typed.points <= 401:
        raise ConfigError(f"--points must be from 3 to 401, got {typed.points}")
    if not 0 < typed.span < float("inf"):
        raise ConfigError(f"--span must be above 0 and finite, got {typed.span:g}")
    if typed.run is None:
        raise ConfigError("give the folder of a run: optlab landscape RUN")
    _require_run(typed.run)
    return Asked(typed.run, tuple(typed.words), typed.points, typed.span, typed.seed)


def _require_run(folder: Path) -> None:
    """Refuse a folder without a run; where runs lie below it, one is named."""
    if (folder / CONFIG_FILE).is_file():
        return
    below = sorted(path.parent for path in folder.glob(f"*/{CONFIG_FILE}"))
    example = f", such as {shlex.quote(str(below[0]))}" if below else ""
    raise ConfigError(
        f"there is no run in {str(folder)!r}: give a run's folder, which holds {CONFIG_FILE}"
        f"{example}"
    )


def landscape(question: Asked) -> Path:
    """Train the run again, look at the loss around its weights, and write what is seen.

    Writes ``landscape.html`` into the run's folder, and pictures and tables into ``landscape/``.

    Returns:
        The page.

    Raises:
        ConfigError: For the run's configuration, or when it diverges.
    """
    found: list[Retraced] = []

    def train(config: DictConfig) -> float:
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
        own, words = of_the_run(resolved), HydraConfig.get().overrides.task
        refuse_unnamed_code(own, words)
        say("[optlab] trains the run again, and keeps its weights on the way")
        found.append(retraced(own, chosen_sections(words)))
        return float("nan")

    launch([str(question.run / CONFIG_FILE), *question.words, "hydra.run.dir=."], train)
    (run,) = found
    _compare(question, run)
    say(f"[optlab] evaluates {2 * question.points**2:,} points around the weights")
    parts = [around_end(run, question.points, question.span, question.seed)]
    if (path := along_path(run, question.points)) is not None:
        parts.append(path)
    return _written(question, run, parts)


def _compare(question: Asked, run: Retraced) -> None:
    """Say if the run does not end where it ended before."""
    path = question.run / WEIGHTS_FILE
    if not path.is_file() or question.words:
        return
    before = torch.load(path, weights_only=True)
    now = parameters(run.parts.module)
    away = max(float((now[n] - before[n]).abs().max()) for n in now if n in before)
    if away:
        warn(
            f"[optlab] trained again, the run ends elsewhere than in {path} (up to {away:.2g} "
            "away): other code, another machine or another engine; shown is where it ends now"
        )


def _written(question: Asked, run: Retraced, parts: Sequence[Mapped]) -> Path:
    folder, name = question.run, question.run.resolve().name
    sections = [_of_what(question, run), *(part.section for part in parts)]
    write_tables(folder / FOLDER, [table for part in parts for table in part.tables])
    write_pictures(folder / FOLDER, [f for section in sections for f in section.figures])
    write_page(folder / PAGE_FILE, sections, (), f"Loss around {name}", FOLDER)
    return folder / PAGE_FILE


def _of_what(question: Asked, run: Retraced) -> Section:
    parts = run.parts
    scores = parts.objective.evaluate(parts.module, parts.data.val)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in scores.items() if "/" not in name)
    changes = f", with {' '.join(question.words)}" if question.words else ""
    weights = sum(p.numel() for p in parts.module.parameters())
    return Section(
        "run",
        "The run",
        (
            f"{question.run}{changes}: {weights:,} weights after {run.epochs[-1]:g} epochs, on the "
            f"validation split {shown}. It was trained again for its path. The points of every map "
            f"are in {FOLDER}/, as CSV and parquet.",
        ),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        usage = "optlab landscape RUN [KEY=VALUE ...] [--points N] [--span S] [--seed N]"
        raise ConfigError(f"{message}; {usage}")
