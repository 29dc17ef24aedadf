"""A ranking as text for a terminal."""

import io
import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from optlab.report.cells import ACCURACY, ENDS, Cell, Ranking, sets_apart, show
from optlab.report.ranking import CONFIDENCE


def render_text(ranking: Ranking, limit: int = 30) -> str:
    """Return the ranking as a plain text table under a line that says how it came about.

    Args:
        ranking: What to show.
        limit: Cells to show of each group; the text says how many more there are.
    """
    lines = [_summary(ranking)]
    for name, cells in ranking.groups.items():
        lines.append("")
        lines += [name] if name else []
        lines.append(_text_of(_table(ranking, cells[:limit])))
        if len(cells) > limit:
            lines.append(f"... and {len(cells) - limit} more cells; report.csv has them all")
    return "\n".join(lines) + "\n"


def _summary(ranking: Ranking) -> str:
    cells = ranking.cells
    runs = sum(cell.runs for cell in cells)
    ends = {end: sum(cell.ends[end] for cell in cells) for end in ENDS}
    listed = ", ".join(f"{count} {end}" for end, count in ends.items() if count)
    worst = "accuracy 0" if ranking.metric == ACCURACY else "an infinite loss"
    sentences = [f"{_plural(runs, 'run')} in {_plural(len(cells), 'cell')}"]
    sentences[0] += f" ({listed})" if listed else ""
    sentences.append(f"ranked by mean validation {ranking.metric} over seeds, test not used")
    if ends["diverged"] + ends["failed"]:
        sentences.append(f"a run that diverged or failed counts as {worst}")
    if ends["interrupted"]:
        sentences.append("interrupted runs are counted, not scored")
    return "; ".join(sentences) + "."


def _table(ranking: Ranking, cells: Sequence[Cell]) -> Table:
    """Build the table; left out are columns for ends that no run came to, and the group's name."""
    ends = [end for end in ENDS if any(cell.ends[end] for cell in cells)]
    keys = [name for name in ranking.keys if not sets_apart(name, ranking.metric)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    for name in keys:
        table.add_column(name.removesuffix(".name"))
    numbers = [f"val {ranking.metric}", "std", f"{CONFIDENCE:.0%} interval"]
    numbers += [f"test {ranking.metric}", "best val loss", "final val loss"]
    for heading in ["runs", *ends, *numbers]:
        table.add_column(heading, justify="right")
    for cell in cells:
        counts = [str(cell.runs), *(str(cell.ends[end]) for end in ends)]
        values = [show(cell.key[name]) for name in keys]
        table.add_row(str(cell.rank), *values, *counts, *_numbers(cell))
    return table


def _numbers(cell: Cell) -> list[str]:
    val = cell.val
    interval = "-" if math.isnan(val.low) else f"{_number(val.low)} .. {_number(val.high)}"
    numbers = [cell.test.mean, cell.best_loss, cell.final_loss]
    return [_number(val.mean), _number(val.std), interval, *map(_number, numbers)]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:#.4g}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _text_of(table: Table) -> str:
    # Wide enough that nothing wraps: a terminal or pager decides, not this module.
    console = Console(file=io.StringIO(), width=1000, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")
