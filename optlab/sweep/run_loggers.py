"""Where the records of one run by itself go: the files and the terminal that were asked for."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from optlab.config import bind
from optlab.config.schema import LoggerConfig
from optlab.identity import OUTCOME_FREE, cell_hash, flatten
from optlab.loggers.base import Logger, Position, require_position
from optlab.loggers.console import Console
from optlab.loggers.table import MetricsTable
from optlab.loggers.tensorboard import TensorBoardLogger
from optlab.results import RunResult
from optlab.train.parts import Parts
from optlab.train.stack.distributions import TakeNumbers


class RunLoggers:
    """Opens the loggers of a run's configuration; use it as a context, which closes them.

    Args:
        folder: The run folder.
        config: The run's configuration.
        since: What `position` returned in an earlier process.

    Raises:
        LostRecords: When what was written before is not there any more.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], since: Position | None = None
    ) -> None:
        wanted = LoggerConfig(**bind(LoggerConfig, config["logger"], "logger"))
        if since is not None:
            require_position(since, wanted)
        since = since or {}
        self._folder, self._figures = folder, wanted.figures
        self._files: dict[str, TensorBoardLogger | MetricsTable] = {}
        self._others: list[Logger] = []
        with ExitStack() as stack:
            if wanted.tensorboard:
                # Seeds of one cell share a row of TensorBoard's table.
                shown = {k: v for k, v in config.items() if k not in OUTCOME_FREE | {"seed"}}
                place = flatten(shown), cell_hash(config), since.get("tensorboard")
                self._files["tensorboard"] = TensorBoardLogger(folder, *place)
                stack.callback(self._files["tensorboard"].close)
            if wanted.table:
                self._files["table"] = MetricsTable(folder, since.get("table"))
                stack.callback(self._files["table"].close)
            self.has_console = wanted.console
            self._closing = stack.pop_all()

    def __enter__(self) -> "RunLoggers":
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()

    def show(self, console: Console, title: str, num_updates: int) -> None:
        """Show progress on a terminal, too."""
        console.start(title, num_updates)
        self._others.append(console)
        self._closing.callback(console.close)

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Record values; a record that some loggers have is one that all have."""
        waiting = iter([*self._files.values(), *self._others])
        try:
            for logger in waiting:
                logger.log(update, epoch, values)
        except KeyboardInterrupt:
            for logger in waiting:
                logger.log(update, epoch, values)
            raise

    @property
    def _tensorboard(self) -> TensorBoardLogger | None:
        found = self._files.get("tensorboard")
        return found if isinstance(found, TensorBoardLogger) else None

    @property
    def histograms(self) -> TakeNumbers | None:
        """What takes weights and gradients of the run, where something keeps them."""
        logger = self._tensorboard
        return None if logger is None else lambda _, *look: logger.histograms(*look)

    def text(self, tag: str, markdown: str) -> None:
        """Record a text, where it can be shown."""
        for logger in (*self._files.values(), *self._others):
            logger.text(tag, markdown)

    def draw(self, config: Mapping[str, Any], parts: Parts, update: int, is_alone: bool) -> None:
        """Draw the run at its end, where that is wanted; see `optlab.sweep.run_figures`."""
        if not (is_alone if self._figures == "auto" else self._figures):
            return
        from optlab.sweep.run_figures import run_figures  # imports matplotlib

        self.position()  # the table is read
        drawn = run_figures(config, parts, self._folder)
        for name, text in drawn.texts.items():
            self.text(name, text)
        for name, png in drawn.pictures.items():
            if self._tensorboard is not None:
                self._tensorboard.image(name, update, png)

    def position(self) -> Position:
        """Write what there is, and return how far that is."""
        return {name: logger.position() for name, logger in self._files.items()}

    def finish(self, result: RunResult) -> None:
        """Record how the run ended."""
        for logger in (*self._files.values(), *self._others):
            logger.finish(result)
