"""One stage of a protocol: an ordinary sweep, with its ledger, in a folder of its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from optlab.protocol.jobs import Job, Words, optimizers, place_words, tuning_jobs
from optlab.protocol.line import Line
from optlab.protocol.protocol import Protocol
from optlab.protocol.space import Interval
from optlab.records import RunRecord
from optlab.sweep.command import multiruns
from optlab.sweep.compose import Composer
from optlab.sweep.hydra_app import launch, split
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.plugin import listed_by
from optlab.sweep.sweep_folder import SweepFolder
from optlab.sweep.words import parse

#: Lists the runs of a stage.
Runs = Callable[[ConfigLoader, DictConfig, Sequence[Override]], Sequence[Job]]


@dataclass
class Tuning:
    """Lists every trial of every optimizer, and remembers what it listed.

    Attributes:
        protocol: What is followed.
        only: Optimizers to tune in place of those of the line.
        jobs: The runs.
        spaces: What is searched of each optimizer.
        left_out: Optimizers that the line's pattern matches and that take no part.
    """

    protocol: Protocol
    only: Sequence[str] = ()
    jobs: list[Job] = field(default_factory=list)
    spaces: dict[str, Mapping[str, Interval]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def __call__(
        self, loader: ConfigLoader, master: DictConfig, overrides: Sequence[Override]
    ) -> list[Job]:
        """Return every run."""
        names, self.left_out = (list(self.only), []) if self.only else optimizers(overrides)
        if self.only:  # options on the line are those of the line's optimizers
            overrides = [o for o in overrides if not o.key_or_group.startswith("optimizer.")]
        composer = Composer(loader, master)

        def space_of(name: str) -> Mapping[str, Interval]:
            known = self.protocol.spaces.known
            words = (*place_words(overrides), f"optimizer={name}")
            options = {} if name in known else composer.run(0, words).config["optimizer"]
            self.spaces[name] = self.protocol.spaces.of(name, options)
            return self.spaces[name]

        self.jobs = tuning_jobs(self.protocol, overrides, names, space_of)
        return self.jobs


def train(line: Line, folder: Path, runs: Runs, held: Words, *flags: str) -> None:
    """Train what is missing of a stage.

    Args:
        line: What was typed.
        folder: Where the stage goes.
        runs: Lists its runs.
        held: Words of the protocol that every run has.
        flags: Flags of ``optlab sweep``.
    """

    def listed(
        loader: ConfigLoader, master: DictConfig, overrides: Sequence[Override]
    ) -> list[Words]:
        SweepFolder.line = line.typed  # what goes on with this stage
        own = [o for o in overrides if o.key_or_group in typed]  # not what a task's preset sweeps
        places = place_words(own)
        return [(*job.words, *places) for job in runs(loader, master, own)]

    words = [*line.into(folder), *held]
    typed = {override.key_or_group for override in parse(split(words)[1])}
    with listed_by(listed):
        for arguments in multiruns([*words, *flags]):
            launch(arguments)


def ended(folder: Path, jobs: Iterable[Job]) -> dict[Job, RunRecord]:
    """Return how the runs of a stage ended; one that ended its process time and again has failed.

    Raises:
        LedgerError: When the ledger cannot be read.
    """
    with LedgerReader(folder) as ledger:
        causes = {entry.number: entry.cause for entry in ledger.entries()}
        results, runs = ledger.results(), ledger.planned(causes)
    found: dict[Words, RunRecord] = {}
    for run in runs:
        result = results.get(run.number)
        if result is None:
            from optlab.sweep.origin import Origin  # imports torch

            result = Origin(1).without_scores(run, "failed", causes[run.number] or "")
        found[_own(run.overrides)] = RunRecord(run.config, result, run.folder)
    return {job: found[job.words] for job in jobs}


def _own(words: Iterable[str]) -> Words:
    """Return what of a run's words says what it is, and not where it goes."""
    return tuple(word for word in words if not word.startswith(("sweep.", "hydra")))
