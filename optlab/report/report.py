"""One call from folders of runs, or from an earlier report's tables, to their report."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from optlab.config import ConfigError
from optlab.records import RunRecord, Survey, SweepRecord, survey
from optlab.report.cells import Ranking
from optlab.report.curves import Curves, best_curves, best_losses
from optlab.report.evidence import Evidence
from optlab.report.html import write_page
from optlab.report.lint import objections
from optlab.report.notes import notes
from optlab.report.page import Objection, Section
from optlab.report.ranking import rank
from optlab.report.sections import SECTIONS, Builder
from optlab.report.tables import (
    CURVES_FILE,
    RANKING_FILE,
    read_curves,
    read_ranking,
    write_curves,
    write_ranking,
    write_tables,
)
from optlab.report.text import render_text

PAGE_FILE, PICTURE_FILE, FOLDER = "report.html", "report.png", "report"


@dataclass(frozen=True)
class Report:
    """What `report` made.

    Attributes:
        text: The ranking for a terminal, and below it where the files are.
        csv: The ranking as CSV.
        curves: The curves of the picture as CSV.
        figure: The picture as PNG.
        page: The page; None where the report was made again from an earlier one's tables.
        objections: Why the comparison is not fair, or not sure.
        damaged: Run folders that are missing in all of it, as their records cannot be read.
    """

    text: str
    csv: Path
    curves: Path
    figure: Path
    page: Path | None = None
    objections: tuple[Objection, ...] = ()
    damaged: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Source:
    """What a report is made of.

    Attributes:
        folders: Of runs, of sweeps, or of anything above them.
        sweeps: What is known of the sweeps in them.
        records: Runs from elsewhere, beside those in the folders.
        sections: What to add to the report's own sections.
    """

    folders: Sequence[Path]
    sweeps: Sequence[SweepRecord] = ()
    records: Sequence[RunRecord] = ()
    sections: Sequence[Builder] = ()

    def survey(self) -> Survey:
        """Look at every run of all folders.

        Raises:
            ConfigError: When a folder does not exist.
        """
        found = [survey(folder) for folder in self.folders]
        return Survey(
            [*chain.from_iterable(each.records for each in found), *self.records],
            {place: error for each in found for place, error in each.damaged.items()},
            list(chain.from_iterable(each.unfinished for each in found)),
            list(chain.from_iterable(each.shown for each in found)),
        )


def report(
    source: Source | str | Path,
    to: str | Path | None = None,
    width: int | None = None,
    pictures: bool = True,
) -> Report:
    """Rank every ended run of some folders, and write all that can be said about them.

    Writes ``report.html`` and, as far as ``pictures`` are wanted, the folder ``report`` with its
    tables and figures; beside them ``report.csv``, ``curves.csv`` and ``report.png``, which are
    drawn from the two tables alone: where there are no runs but these, text and picture are made
    again from them.

    Args:
        source: Where the runs are; a folder alone stands for itself.
        to: Folder for the report; by default that of the runs, if it is one.
        width: Characters in a line of the text; None shows all columns however wide.
        pictures: Whether to write every figure as SVG and PNG, and every table as CSV and parquet.

    A record that cannot be read is left out, and the text says so.

    Raises:
        ConfigError: When a folder does not exist, or holds neither a readable run nor the tables,
            or holds damaged tables.
    """
    given = source if isinstance(source, Source) else Source([Path(source)])
    root = Path(to) if to is not None else given.folders[0]
    found = given.survey()
    if not found.records:
        return _from_tables(root, found, width)
    records = found.records
    ranking = rank(records, best_losses(records))
    evidence = Evidence(records, ranking, given.sweeps)
    against = tuple(objections(evidence))
    sections = _sections(evidence, given.sections)
    write_ranking(root / RANKING_FILE, ranking)
    write_curves(root / CURVES_FILE, ranking, best_curves(records, ranking))
    write_page(root / PAGE_FILE, sections, against)
    if pictures:
        _write_folder(root / FOLDER, sections)
    return _told(root, found, width, against)


def _sections(evidence: Evidence, more: Sequence[Builder]) -> list[Section]:
    built = [build(evidence) for build in (*SECTIONS, *more)]
    return [section for section in built if section is not None]


def _write_folder(folder: Path, sections: Sequence[Section]) -> None:
    from optlab.report.pictures import write_pictures  # here: matplotlib takes a second to import

    write_tables(folder, [table for section in sections for table in section.tables])
    write_pictures(folder, [figure for section in sections for figure in section.figures])


def _from_tables(root: Path, found: Survey, width: int | None) -> Report:
    if found.damaged:
        raise next(iter(found.damaged.values()))
    if not any((root / name).exists() for name in (RANKING_FILE, CURVES_FILE)):
        raise ConfigError(
            f"no ended run below {str(root)!r}, nor the tables of a report: train there first, or "
            "wait for a run"
        )
    return _told(root, found, width, ())


def _told(root: Path, found: Survey, width: int | None, against: tuple[Objection, ...]) -> Report:
    """Draw text and picture from the two tables."""
    ranking = read_ranking(root / RANKING_FILE)
    curves = read_curves(root / CURVES_FILE, ranking)
    figure = _drawn(root, ranking, curves)
    csv, curve_table = root / RANKING_FILE, root / CURVES_FILE
    page = root / PAGE_FILE if found.records else None
    places = f"report   {page}\n" if page else ""
    places += f"ranking  {csv}\ncurves   {curve_table}\npicture  {figure}\n"
    parts = [render_text(ranking, width=width), *_against(against), *notes(root, found), places]
    return Report("\n".join(parts), csv, curve_table, figure, page, against, tuple(found.damaged))


def _drawn(root: Path, ranking: Ranking, curves: Curves) -> Path:
    from optlab.report.figure import write_figure  # here: matplotlib takes a second to import

    write_figure(root / PICTURE_FILE, ranking, curves)
    return root / PICTURE_FILE


def _against(against: Sequence[Objection]) -> list[str]:
    lines = [
        f"! {each.sentence}" + (f"\n    {each.command}" if each.command else "") for each in against
    ]
    return ["\n".join(lines) + "\n"] if lines else []
