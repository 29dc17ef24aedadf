"""A ranking as text for a terminal."""

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from optlab.report.cells import (
    ACCURACY,
    ENDS,
    Cell,
    Estimate,
    Ranking,
    identity,
    sets_apart,
)
from optlab.report.page import Objection
from optlab.report.phrases import NAMING, OPTIMIZER, optimizer_name, show
from optlab.statistics.intervals import CONFIDENCE

INTERVAL = f"{CONFIDENCE:.0%} interval"
VERDICTS = "verdicts"

#: Characters in a line where there is no terminal: of sentences, and of tables.
SENTENCE_WIDTH, TABLE_WIDTH = 80, 132
#: Characters of a column of verdicts, about; what is left out of it is counted.
VERDICT_WIDTH = 30

NO_RANKING = "no run is done, and there is nothing to rank"

#: Lines of ASCII alone: a log or a pipe may know no other characters.
BOX = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def render_text(ranking: Ranking, limit: int = 30, width: int | None = None) -> str:
    """Return the ranking as a plain text table under sentences that say how it came about.

    Args:
        ranking: What to show.
        limit: Cells to show of each group; the text says how many more there are.
        width: Characters in a line of a terminal; None where there is none. Where a table is wider,
            its least important columns are left out, and the text says which.
    """
    lines = wrapped(_summary(ranking), width)
    for name, cells in ranking.groups.items():
        lines.append("")
        lines += [name] if name else []
        lines += [] if cells[0].rank else [NO_RANKING]
        lines += _fitted(ranking, cells[:limit], width)
        if len(cells) > limit:
            more = plural(len(cells) - limit, "more cell")
            lines.append(f"... and {more}; report.csv has them all")
    return "\n".join(lines) + "\n"


def objections_text(against: Iterable[Objection], width: int | None = None) -> str:
    """Return a paragraph for each objection and, in a line that can be copied, what mends it."""
    lines: list[str] = []
    for each in against:
        lines += wrapped(f"! {each.sentence}", width, indent="  ")
        lines += [f"    {each.command}"] if each.command else []
    return "\n".join(lines) + "\n" if lines else ""


def wrapped(sentences: str, width: int | None = None, indent: str = "") -> list[str]:
    """Return the lines of a paragraph, no word of it broken.

    Args:
        sentences: The paragraph.
        width: Characters in a line of a terminal; None where there is none.
        indent: What its second and further lines begin with.
    """
    return textwrap.wrap(
        sentences,
        width or SENTENCE_WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def verdict_words(cell: Cell, width: int = VERDICT_WIDTH) -> str:
    """Return a cell's verdicts with the runs that have each: "lr too high 3/5, plateau 1/5 +1".

    Args:
        cell: The cell.
        width: Characters, about: the first is always there, and those left out are counted.
    """
    words = [
        f"{name.replace('_', ' ')} {round(share * cell.runs)}/{cell.runs}"
        for name, share in cell.verdicts.items()
    ]
    fitting = [n for n in range(1, len(words) + 1) if len(", ".join(words[:n])) <= width]
    shown = words[: max(fitting, default=1)]
    rest = len(words) - len(shown)
    return (", ".join(shown) + (f" +{rest}" if rest else "")) or "-"


def headings(keys: Sequence[str]) -> list[str]:
    """Return keys in few words: "optimizer", "lr", and in full where two would read the same."""
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    return [s if short.count(s) == 1 else key for s, key in zip(short, keys, strict=True)]


def plural(count: int, noun: str) -> str:
    """Return "1 run" or "2 runs"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def capital(sentence: str) -> str:
    """Return a sentence that begins with a capital letter."""
    return sentence[0].upper() + sentence[1:]


def _summary(ranking: Ranking) -> str:
    cells = ranking.cells
    runs = sum(cell.runs for cell in cells)
    ends = {end: sum(cell.ends[end] for cell in cells) for end in ENDS}
    listed = ", ".join(f"{count} {end}" for end, count in ends.items() if count)
    metrics = sorted({ranking.metrics[name] for name in ranking.ranked or ranking.groups})
    worst = " or ".join("accuracy 0" if m == ACCURACY else "an infinite loss" for m in metrics)
    sentences = [f"{plural(runs, 'run')} in {plural(len(cells), 'cell')}"]
    sentences[0] += f" ({listed})" if listed else ""
    sentences.append(f"ranked by mean validation {' or '.join(metrics)} over seeds, test not used")
    if ends["diverged"] + ends["failed"]:
        sentences.append(f"a run that diverged or failed counts as {worst}")
    if ends["interrupted"]:
        sentences.append("interrupted runs are counted, not scored")
    return "; ".join(sentences) + "."


def _fitted(ranking: Ranking, cells: Sequence[Cell], width: int | None) -> list[str]:
    """Return a table without as many of the least important columns as it is too wide for."""
    metric = cells[0].metric
    numbers = _numbers(metric, cells)
    dispensable = [*numbers][1 if cells[0].rank else 0 :]  # not the metric that ranks
    left_out = sorted(dispensable, key=lambda heading: _worth(heading, metric))
    for count in range(len(left_out) + 1):
        gone = left_out[:count]
        kept = {heading: texts for heading, texts in numbers.items() if heading not in gone}
        table = _text_of(_table(ranking, cells, kept))
        if max(map(len, table.splitlines())) <= (width or TABLE_WIDTH):
            break
    note = f"(no room for {', '.join(h for h in numbers if h in gone)}: see report.csv)"
    return [table, *wrapped(note, width)] if gone else [table]


def _worth(heading: str, metric: str) -> int:
    order = ("final val loss", "best val loss", "std", VERDICTS, f"test {metric}", INTERVAL)
    return order.index(heading)


def _table(ranking: Ranking, cells: Sequence[Cell], numbers: Mapping[str, Sequence[str]]) -> Table:
    """Build the table; left out are ends that no run came to, and keys that say nothing here."""
    ends = [end for end in ENDS if any(cell.ends[end] for cell in cells)]
    table = Table(box=BOX, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("rank", justify="right")
    keys = _telling(ranking, cells)
    for heading in headings(keys):
        table.add_column(heading)
    for heading in ["runs", *ends, *numbers]:
        table.add_column(heading, justify="left" if heading == VERDICTS else "right")
    for place, cell in enumerate(cells):
        counts = [str(cell.runs), *(str(cell.ends[end]) for end in ends)]
        values = [
            optimizer_name(cell.key) if name == OPTIMIZER else show(cell.key[name]) for name in keys
        ]
        own = [texts[place] for texts in numbers.values()]
        table.add_row(str(cell.rank or "-"), *values, *counts, *own)
    return table


def _telling(ranking: Ranking, cells: Sequence[Cell]) -> list[str]:
    """Return the optimizer and the keys that differ among all cells of the group of ``cells``."""
    group = next(own for own in ranking.groups.values() if cells[0] in own)
    return [
        name
        for name in ranking.keys
        if not sets_apart(name, cells[0].metric)
        and name not in NAMING[1:]
        and (name == OPTIMIZER or len({identity({name: cell.key[name]}) for cell in group}) > 1)
    ]


def _numbers(metric: str, cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Return the texts of each column that has numbers, the metric that ranks first."""
    measured = {
        f"val {metric}": [_number(cell.val.mean) for cell in cells],
        "std": [_number(cell.val.std) for cell in cells],
        INTERVAL: [_interval(cell.val) for cell in cells],
        f"test {metric}": [_number(cell.test.mean) for cell in cells],
        "best val loss": [_number(cell.best_loss) for cell in cells],
        "final val loss": [_number(cell.final_loss) for cell in cells],
    }
    columns = measured if cells[0].rank else {}
    ranking = next(iter(columns), "")
    columns[VERDICTS] = [verdict_words(cell) for cell in cells]
    return {h: columns[h] for h in columns if h == ranking or {*columns[h]} != {"-"}}


def _interval(val: Estimate) -> str:
    return "-" if math.isnan(val.low) else f"{_number(val.low)} .. {_number(val.high)}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:#.4g}"


def _text_of(table: Table) -> str:
    # Wide enough that nothing wraps: a terminal or pager decides, not this module.
    console = Console(file=io.StringIO(), width=1000, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")
