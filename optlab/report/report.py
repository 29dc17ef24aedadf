"""One call from folders of runs, or from an earlier report's tables, to their report."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from optlab.config import ConfigError
from optlab.records import RunRecord, Survey, SweepRecord, survey
from optlab.report.cells import Ranking
from optlab.report.evidence import Evidence
from optlab.report.folder import clear_folder, write_folder
from optlab.report.html import write_page
from optlab.report.lint import objections
from optlab.report.measures.curves import best_curves, best_losses
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
)
from optlab.report.text import objections_text, render_text

PAGE_FILE, PICTURE_FILE, FOLDER = "report.html", "report.png", "report"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a report says on a terminal.

    Attributes:
        text: The ranking, and below it what is to be said of it and where the files are.
        ranking: The ranking itself.
        objections: Why the comparison is not fair, or not sure.
        damaged: Run folders that are missing in all of it, as their records cannot be read.
    """

    text: str
    ranking: Ranking
    objections: tuple[Objection, ...] = ()
    damaged: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report(Told):
    """What `report` made.

    Attributes:
        csv: The ranking as CSV.
        curves: The curves of the picture as CSV.
        figure: The picture as PNG.
        page: The page; None where the report was made again from an earlier one's tables.
    """

    csv: Path
    curves: Path
    figure: Path
    page: Path | None = None


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
    tables and figures; beside them ``report.csv``, ``curves.csv`` and ``report.png``, which is
    drawn from the two tables alone: where there are no runs but these, text and picture are made
    again from them. A record that cannot be read is left out, and the text says so.

    Args:
        source: Where the runs are; a folder alone stands for itself.
        to: Folder for the report; by default the first one with runs.
        width: Characters in a line of the text; None shows all columns however wide.
        pictures: Whether to write every figure as SVG and PNG, and every table as CSV and parquet.

    Raises:
        ConfigError: When a folder does not exist, or holds neither a readable run nor the tables,
            or holds damaged tables.
    """
    given = source if isinstance(source, Source) else Source([Path(source)])
    root = Path(to) if to is not None else given.folders[0]
    found = given.survey()
    if not found.records:
        _require_tables(root, found)
        return _drawn(root, found, width, ())
    evidence = _evidence(found, given)
    against, sections = tuple(objections(evidence)), _sections(evidence, given.sections)
    write_ranking(root / RANKING_FILE, evidence.ranking)
    write_curves(root / CURVES_FILE, evidence.ranking, best_curves(evidence))
    title, files = f"optlab report: {root.resolve().name}", FOLDER if pictures else ""
    write_page(root / PAGE_FILE, sections, against, title, files)
    if pictures:
        write_folder(root / FOLDER, sections, evidence)
    else:
        clear_folder(root / FOLDER)  # beside this page its files would be another report's
    return _drawn(root, found, width, against)


def ranking_text(source: Source | str | Path, width: int | None = None) -> Told:
    """Return what `report` says on a terminal, and write nothing.

    Raises:
        ConfigError: As `report` does.
    """
    given = source if isinstance(source, Source) else Source([Path(source)])
    root, found = given.folders[0], given.survey()
    against: tuple[Objection, ...] = ()
    if found.records:
        evidence = _evidence(found, given)
        ranking, against = evidence.ranking, tuple(objections(evidence))
    else:
        _require_tables(root, found)
        ranking = read_ranking(root / RANKING_FILE)
    text = "\n".join(_paragraphs(root, found, ranking, against, width))
    return Told(text=text, ranking=ranking, objections=against, damaged=tuple(found.damaged))


def _evidence(found: Survey, given: Source) -> Evidence:
    return Evidence(found.records, rank(found.records, best_losses(found.records)), given.sweeps)


def _sections(evidence: Evidence, more: Sequence[Builder]) -> list[Section]:
    """Return all sections; one that is added takes the place of the report's own of its name."""
    sections = _built(evidence, SECTIONS)
    for added in _built(evidence, more):
        names = [section.name for section in sections]
        if added.name in names:
            sections[names.index(added.name)] = added
        else:
            place = names.index(added.after) + 1 if added.after in names else len(names)
            sections.insert(place, added)
    return sections


def _built(evidence: Evidence, builders: Sequence[Builder]) -> list[Section]:
    built = (build(evidence) for build in builders)
    return [section for section in built if section is not None]


def _require_tables(root: Path, found: Survey) -> None:
    """Refuse a folder without runs, unless an earlier report left its tables there."""
    if found.damaged:
        raise next(iter(found.damaged.values()))
    if not any((root / name).exists() for name in (RANKING_FILE, CURVES_FILE)):
        others = next(root.rglob("*tfevents*"), None)
        hint = "; logs of others are read with --tensorboard DIR" if others else ""
        raise ConfigError(
            f"no ended run below {str(root)!r}, nor the tables of a report: train there first, or "
            f"wait for a run{hint}"
        )


def _drawn(root: Path, found: Survey, width: int | None, against: tuple[Objection, ...]) -> Report:
    """Draw text and picture from the two tables."""
    from optlab.report.pictures.overview import (
        write_figure,  # here: matplotlib takes a second to import
    )

    csv, curves, figure = (root / name for name in (RANKING_FILE, CURVES_FILE, PICTURE_FILE))
    ranking = read_ranking(csv)
    write_figure(figure, ranking, read_curves(curves, ranking))
    page = root / PAGE_FILE if found.records else None
    places = f"report   {page}\n" if page else ""
    places += f"ranking  {csv}\ncurves   {curves}\npicture  {figure}\n"
    return Report(
        text="\n".join([*_paragraphs(root, found, ranking, against, width), places]),
        ranking=ranking,
        objections=against,
        damaged=tuple(found.damaged),
        csv=csv,
        curves=curves,
        figure=figure,
        page=page,
    )


def _paragraphs(
    root: Path,
    found: Survey,
    ranking: Ranking,
    against: Sequence[Objection],
    width: int | None,
) -> list[str]:
    """Return what a report says on a terminal, but for its files."""
    objected = objections_text(against, width)
    parts = [render_text(ranking, width=width), objected, *notes(root, found)]
    return [part for part in parts if part]
