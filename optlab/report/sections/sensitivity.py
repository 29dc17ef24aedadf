"""How much results hang on the learning rate, and on any other number that was swept."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from optlab.report.cells import LEARNING_RATE
from optlab.report.evidence import Evidence
from optlab.report.measures.windows import POINT, SHARE, Finding, findings
from optlab.report.page import Column, Section, Table, Value
from optlab.report.phrases import show
from optlab.report.sections.arrange import by_task, common, listed
from optlab.report.sections.sensitivity_charts import called, charts, name_of
from optlab.report.text import plural
from optlab.statistics.sensitivity import Window

#: What a best value at an end of what was tried is called; of a search of many, one of several.
EDGES = ("the lowest", "one of the lowest", "the highest", "one of the highest")
#: Optimizers that a sentence names.
MOST_NAMED = 6
#: Tasks of which sentences tell one by one.
MOST_TASKS = 4


def sensitivity(evidence: Evidence) -> Section | None:
    """Return each optimizer's result along the learning rate and other numbers, where swept."""
    found = findings(evidence)
    if not found:
        return None
    by_name = [[*own] for _, own in groupby(found, lambda finding: finding.name)]
    is_rate = all(finding.name == LEARNING_RATE for finding in found)
    told = [
        paragraph
        for own in by_name
        for paragraph in _told([[*each] for _, each in groupby(own, lambda f: f.group)])
    ]
    return Section(
        "sensitivity",
        f"Sensitivity to {'the learning rate' if is_rate else 'hyperparameters'}",
        (*told, *_meaning(found)),
        charts(evidence, found),
        tuple(map(_table, by_name)),
    )


def _told(groups: Sequence[Sequence[Finding]]) -> list[str]:
    """Return what is to be said of one hyperparameter, of a few tasks one by one."""
    what = called(groups[0][0].name)
    at_edges = [own for own in groups if any(finding.edge for finding in own)]
    widths = [text for text in map(_widths, groups) if text]
    paragraphs = []
    if at_edges:
        paragraphs.append(
            f"The best {what} is at the edge of what was tried: {_joined(map(_edges, at_edges))}. "
            "The optimum may lie beyond it: widen the range there before you rank these optimizers."
        )
    elif groups[0][0].name == LEARNING_RATE:
        paragraphs.append("No best learning rate is at the edge of what was tried.")
    if widths and groups[0][0].name == LEARNING_RATE:
        paragraphs.append(f"Good rates span: {_joined(widths)}.")
    return paragraphs


def _joined(texts: Iterable[str]) -> str:
    """Return what is said of each task as one sentence, of many tasks only their number."""
    all_of_them = list(texts)
    more = len(all_of_them) - MOST_TASKS
    shown = all_of_them[:MOST_TASKS] + [f"likewise on {plural(more, 'more task')}"] * (more > 0)
    return "; ".join(shown)


def _edges(own: Sequence[Finding]) -> str:
    """Say whose best value is the first or last that was tried."""
    parts = [
        f"{place} for "
        + listed([f"{f.optimizer} ({show(f.value)})" for f in own if f.edge == place], MOST_NAMED)
        for place in EDGES
        if any(finding.edge == place for finding in own)
    ]
    return f"{_on(own)}{', and '.join(parts)}"


def _widths(own: Sequence[Finding]) -> str:
    """Say for which optimizers good values are easiest and hardest to find, if for any."""
    windows = [(f.window, f.optimizer) for f in own if f.window is not None]
    if len(windows) < 2:
        return ""
    (wide, first), (narrow, last) = max(windows, key=_decades), min(windows, key=_decades)
    if wide.decades == narrow.decades:
        return ""
    most = f"{_range(wide)} for {first}, the most"
    return f"{_on(own)}{most}, and {_range(narrow)} for {last}, the least"


def _on(own: Sequence[Finding]) -> str:
    return f"on {own[0].group}, " if own[0].group else ""


def _decades(window: tuple[Window, str]) -> float:
    return window[0].decades


def _range(window: Window) -> str:
    least = "at least " if window.is_cut_low or window.is_cut_high else ""
    return f"{least}{window.decades:#.2g} decades (a factor of {window.high / window.low:.3g})"


def _meaning(found: Sequence[Finding]) -> list[str]:
    """Say what a good window and a sensitivity are."""
    if all(finding.window is None for finding in found):
        return []
    rules = {
        "accuracy": f"within {100 * POINT:g} point of the best accuracy",
        "loss": f"a loss within {100 * SHARE:g} % of the way from the loss before training to the "
        "best (a share of the way, as it does not hang on units and on where the loss ends)",
    }
    metrics = sorted({finding.best.metric for finding in found})
    text = (
        "The good window of an optimizer is the unbroken range around its best value that is as "
        f"good: {' or '.join(rules[metric] for metric in metrics)}. Between two values that were "
        "tried its end is interpolated, and where it ends only because nothing further was tried, "
        "it is open: at least that wide."
    )
    if any(not math.isnan(finding.sensitivity) for finding in found):
        text += (
            " Sensitivity is the mean, over the logarithm of the rate, of how far the final "
            "validation loss lies above that of the best rate; a loss above the one before "
            "training, or of a run that diverged, counts as the one before training (Wortsman et "
            "al., 2023). It depends on the range of rates that was tried: compare it between "
            "optimizers that tried the same."
        )
    return [text]


def _table(found: Sequence[Finding]) -> Table:
    """Return the table of one hyperparameter."""
    metric = common((finding.best.metric for finding in found), "metric")
    what = called(found[0].name)
    columns = (
        Column("optimizer", "optimizer"),
        Column(f"best {what}", "best_value"),
        Column(f"validation {metric} there", f"val_{metric}"),
        Column("width of the good window (decades)", "window_decades", 3),
        Column("from", "window_low", 3),
        Column("to", "window_high", 3),
        Column("open end", "window_open"),
        Column("sensitivity of the loss", "sensitivity", 3),
        Column("values tried", "values"),
        Column("best at the edge", "edge"),
    )
    caption = f"The best {what} is that of an optimizer's best cell."
    if any(finding.window is not None for finding in found):
        caption += " Beyond an open end of a good window nothing was tried."
    rows = [(finding.group, _row(finding)) for finding in found]
    return Table(name_of(found[0].name), f"Best {what}", caption, *by_task(columns, rows), most=24)


def _row(finding: Finding) -> tuple[Value, ...]:
    window = finding.window
    cut = [] if window is None else ["below"] * window.is_cut_low + ["above"] * window.is_cut_high
    ends = (None, None, None) if window is None else (window.decades, window.low, window.high)
    return (
        finding.optimizer,
        finding.value,
        finding.best.val.mean,
        *ends,
        " and ".join(cut),
        finding.sensitivity,
        finding.num_values,
        _at_edge(finding),
    )


def _at_edge(finding: Finding) -> str:
    if finding.num_values == 1:
        return "only one was tried"
    return f"yes, {finding.edge}" if finding.edge else "no"
