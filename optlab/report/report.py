"""One call from a folder of runs, or of an earlier report's tables, to its report."""

from dataclasses import dataclass
from pathlib import Path

from optlab.config import ConfigError
from optlab.records import RunRecord, survey
from optlab.report.curves import best_curves, best_losses
from optlab.report.notes import notes
from optlab.report.ranking import rank
from optlab.report.tables import (
    CURVES_FILE,
    RANKING_FILE,
    read_curves,
    read_ranking,
    write_curves,
    write_ranking,
)
from optlab.report.text import render_text


@dataclass(frozen=True)
class Report:
    """What `report` made.

    Attributes:
        text: The ranking for a terminal, and below it where the files are.
        csv: The ranking as CSV.
        curves: The curves of the figure as CSV.
        figure: The picture as PNG.
        damaged: Run folders that are missing in all of it, as their records cannot be read.
    """

    text: str
    csv: Path
    curves: Path
    figure: Path
    damaged: tuple[Path, ...] = ()


def report(folder: str | Path, width: int | None = None) -> Report:
    """Rank every ended run at or below ``folder``.

    Writes ``report.csv`` and ``curves.csv`` there, and draws text and ``report.png`` from these two
    alone. Where there are no runs but the two tables, text and picture are made again from them.

    Args:
        folder: Of a run, of a sweep, or of anything above them.
        width: Characters in a line of the text; None shows all columns however wide.

    A record that cannot be read is left out, and the text says so.

    Raises:
        ConfigError: When the folder does not exist, holds neither a readable run nor the tables, or
            holds damaged tables.
    """
    from optlab.report.figure import write_figure  # here: matplotlib takes a second to import

    root = Path(folder)
    found = survey(root)
    if found.records:
        _write_tables(root, found.records)
    elif found.damaged:
        raise next(iter(found.damaged.values()))
    elif not any((root / name).exists() for name in (RANKING_FILE, CURVES_FILE)):
        raise ConfigError(
            f"no ended run below {str(root)!r}, nor the tables of a report: train there first, or "
            "wait for a run"
        )
    ranking = read_ranking(root / RANKING_FILE)
    curves = read_curves(root / CURVES_FILE, ranking)
    csv, curve_table, figure = (root / n for n in (RANKING_FILE, CURVES_FILE, "report.png"))
    write_figure(figure, ranking, curves)
    places = f"ranking  {csv}\ncurves   {curve_table}\npicture  {figure}\n"
    parts = [render_text(ranking, width=width), *notes(root, found), places]
    return Report("\n".join(parts), csv, curve_table, figure, tuple(found.damaged))


def _write_tables(root: Path, records: list[RunRecord]) -> None:
    ranking = rank(records, best_losses(records))
    write_ranking(root / RANKING_FILE, ranking)
    write_curves(root / CURVES_FILE, ranking, best_curves(records, ranking))
