"""What ``optlab report`` is asked for, and what it makes its answer of."""

import argparse
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optlab.config import ConfigError
from optlab.protocol.reported import compared, protocol_sections
from optlab.report.cells import START
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.report import Report, Source, Told, ranking_text, report
from optlab.report.sections import Builder
from optlab.saying import say
from optlab.sweep.sweep_record import sweep_records


@dataclass(frozen=True)
class Asked:
    """What was typed.

    Attributes:
        folders: Of runs, of sweeps, or of anything above them.
        to: Folder for the report.
        is_text: Whether only the ranking is wanted, and no file.
        opens: Whether a browser is to show the page.
    """

    folders: tuple[Path, ...]
    to: Path
    is_text: bool
    opens: bool


def asked(arguments: Sequence[str]) -> Asked:
    """Read what was typed after ``optlab report``.

    Raises:
        ConfigError: For an unknown flag, a folder that does not exist, or several folders and no
            place for their report.
    """
    parser = _Parser(prog="optlab report", add_help=False, allow_abbrev=False)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--tensorboard", type=Path)
    parser.add_argument("--metric")
    parser.add_argument("--loss")
    typed = parser.parse_args(list(arguments))
    folders = (*typed.folders, *_imported(typed))
    if not folders:
        raise ConfigError("give the folder of a run or of a sweep: optlab report DIR")
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"no folder {str(folder)!r}; give the folder of a run or of a sweep")
    if typed.to is None and len(folders) > 1 and not typed.text:
        raise ConfigError(
            f"a report of {len(folders)} folders belongs to none of them: say where it goes with "
            "--to FOLDER, or see it on the terminal with --text"
        )
    return Asked(folders, typed.to or folders[0], typed.text, typed.open)


def _imported(typed: argparse.Namespace) -> list[Path]:
    """Return the folder of runs that event files of others were read into, where there are any.

    Nothing is written beside these: the runs stand in the report's folder.
    """
    logdir = typed.tensorboard
    if logdir is None:
        for name in ("metric", "loss"):
            if getattr(typed, name) is not None:
                raise ConfigError(
                    f"--{name} names a tag of event files: it goes with --tensorboard"
                )
        return []
    if not logdir.is_dir():
        raise ConfigError(f"no folder {str(logdir)!r}; give what was TensorBoard's --logdir")
    from optlab.report.foreign import import_runs

    typed.to = typed.to or Path(f"{logdir.resolve().name}_report")
    made = import_runs(logdir, typed.to / "imported", typed.metric, typed.loss)
    for line in made.told:
        say(line)
    return [made.folder]


def source_of(folders: Sequence[Path]) -> Source:
    """Return all that is known of some folders; of protocols their winners are compared."""
    runs = [compared(folder) for folder in folders]
    added = (*_import_sections(folders), *protocol_sections(folders), _paths)
    return Source(runs, sweep_records(runs), sections=added)


def write_report(question: Asked, width: int | None, pictures: bool = True) -> Told:
    """Write the report that was asked for, or only its text.

    Args:
        question: What was asked.
        width: Characters in a line of the text; None shows all columns however wide.
        pictures: Whether to write figures and tables beside the page.

    Raises:
        ConfigError: As `optlab.report.report` does.
    """
    source = source_of(question.folders)
    if question.is_text:
        return ranking_text(source, width)
    made = report(source, question.to, width, pictures)
    if question.opens:
        _show(made)
    return made


def _import_sections(folders: Sequence[Path]) -> tuple[Builder, ...]:
    from optlab.report.foreign import imported_sections

    return imported_sections(folders)


def _paths(evidence: Evidence) -> Section | None:
    """Return the section of paths over test functions; others need not wait for torch."""
    if not any(START in record.options for record in evidence.records):
        return None
    from optlab.landscape.trajectories import trajectories

    return trajectories(evidence)


def _show(made: Report) -> None:
    if made.page is None:
        raise ConfigError("a report made of tables alone has no page to open")
    address = made.page.resolve().as_uri()
    if not webbrowser.open(address):
        say(f"no browser was found to open {address}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(
            f"{message}; optlab report DIR [DIR ...] [--to DIR] [--text] [--open] "
            "[--tensorboard LOGDIR [--metric TAG] [--loss TAG]]"
        )
