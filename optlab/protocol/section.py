"""The section of a report about its protocol: what was fixed, what was chosen, what it cost."""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from optlab.protocol.jobs import Words
from optlab.protocol.plan import left_out_text
from optlab.protocol.record import Record
from optlab.protocol.winners import Winner
from optlab.report.cells import ACCURACY
from optlab.report.charts import Axis, Chart, Figure, Series
from optlab.report.charts.styles import REST
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Section, Table, Value
from optlab.report.sections.arrange import MOST_SHOWN, by_task, listed, metric_axis, side_by_side

MOST_EDGES = 8
COLUMNS = (
    Column("optimizer", "optimizer"),
    Column("budget (trials)", "budget"),
    Column("chosen: trial", "trial"),
    Column("at", "values"),
    Column("when chosen", "tuned"),
    Column("on fresh seeds", "mean"),
    Column("from", "low"),
    Column("to", "high"),
    Column("runs", "runs"),
    Column("tuning runs", "tuning_runs"),
    Column("of them missed", "missed"),
    Column("gradient evaluations of tuning (rows)", "tuning_row_gradients"),
)


def protocol_section(record: Record) -> Callable[[Evidence], Section]:
    """Return what makes the section of a protocol."""

    def build(evidence: Evidence) -> Section:
        figures, tables = (_figures(record, evidence), (_winners(record), _space(record)))
        return Section(
            "protocol",
            "The protocol",
            tuple(filter(None, _sentences(record))),
            figures if record.is_judged else (),
            tables if record.is_judged else tables[1:],
            after="question",
        )

    return build


def _sentences(record: Record) -> list[str]:
    protocol = record.protocol
    largest = protocol.budgets[-1]
    budgets = listed(list(map(str, protocol.budgets)), 9)
    fixed = (
        f"Protocol {protocol.name}, version {protocol.version} ({protocol.digest}): every "
        f"optimizer had {largest} trials, its defaults first and then points of one Halton "
        f"sequence in a space that the protocol fixes, {_seeds(protocol.tuning_seeds)}. The best "
        f"of {budgets} trials by the mean validation metric was trained again "
        f"{_seeds(protocol.rerun_seeds)}, none of which chose it; trials that diverged or failed "
        "counted as the worst."
    )
    if not record.is_judged:
        return [
            fixed,
            "It is not finished: what this page ranks are trials, by the seeds that choose among "
            "them. Start the same line again, or optlab sweep --resume, before you compare.",
        ]
    compared = (
        f"Ranking, curves and tests of this page are of the winners of {largest} trials on fresh "
        "seeds; sensitivity and best of k of the trials themselves."
    )
    return [
        fixed,
        compared,
        *map(_optimism, _by_metric(record.winners, largest)),
        _edges([w for w in record.winners if w.budget == largest]),
        *map(_target, record.targets.items()),
        "" if record.targets else "No target: none of its baselines took part.",
        left_out_text(record.left_out) if record.left_out else "",
    ]


def _seeds(seeds: Sequence[int]) -> str:
    return f"on seed {seeds[0]}" if len(seeds) == 1 else f"on {len(seeds)} seeds"


def _by_metric(winners: Sequence[Winner], budget: int) -> list[list[Winner]]:
    own = sorted((w for w in winners if w.budget == budget), key=lambda w: w.metric)
    return [list(each) for _, each in groupby(own, key=lambda w: w.metric)]


def _optimism(winners: Sequence[Winner]) -> str:
    """Say how much better winners looked when they were chosen."""
    gaps = np.array([w.tuned - w.fresh.mean for w in winners])
    gaps = gaps[~np.isnan(gaps)]  # lost when it was chosen, and again: no difference
    if not len(gaps):
        return ""
    metric, gap = winners[0].metric, float(np.median(gaps))
    if np.isinf(gap):
        return "Most winners were lost on fresh seeds: what chose them was luck."
    is_worse = gap > 0 if metric == ACCURACY else gap < 0
    if not is_worse:
        return (
            "Winners do as well on fresh seeds as on those that chose them (median difference of "
            f"{metric} {abs(gap):.2g})."
        )
    return (
        f"When they were chosen winners looked better than they are: their {metric} is by "
        f"{abs(gap):.2g} worse on fresh seeds, in the median over {len(gaps)} winners."
    )


def _edges(winners: Sequence[Winner]) -> str:
    found = [
        f"{label} ({option} of {winner.value(option):g}{f' on {group}' if group else ''})"
        for group, own in _groups(winners).items()
        for winner, label in zip(own, _labels(own), strict=True)
        for option in winner.edges
    ]
    if not found:
        return ""
    return (
        f"At the edge of what was searched lie {listed(found, MOST_EDGES)}: better values may lie "
        "beyond. A protocol of your own can search farther (protocol=FILE.yaml)."
    )


def _target(target: tuple[str, dict[str, str]]) -> str:
    group, own = target
    where = f" of {group}" if group else ""
    return f"Target{where}: validation {own['metric']} {float(own['value']):.4g}, {own['from']}."


def _labels(winners: Sequence[Winner]) -> list[str]:
    """Return what tells settings apart: the optimizer, and what not all of them have."""
    common: set[str] = set.intersection(*(set(w.setting) for w in winners)) if winners else set()
    return [", ".join([w.optimizer, *_rest(w.setting, common)]) for w in winners]


def _rest(setting: Words, common: set[str]) -> list[str]:
    told = (w for w in setting if w not in common and not w.startswith(("optimizer=", "task=")))
    return [word.lstrip("+") for word in told]


def _figures(record: Record, evidence: Evidence) -> tuple[Figure, ...]:
    groups = _groups(record.winners)
    charts = [_chart(group, own, evidence) for group, own in groups.items()]
    caption = (
        "What the winner of so many trials comes to on fresh seeds: mean and 95 % interval, by the "
        "number of trials that it is the best of. One trial is the optimizer's defaults. A line "
        "that falls chose by luck: its winner did well on the seeds for tuning alone."
    )
    title = "What a budget buys, on fresh seeds"
    return (side_by_side("protocol_budgets", title, caption, charts),)


def _groups(winners: Sequence[Winner]) -> dict[str, list[Winner]]:
    found: dict[str, list[Winner]] = {}
    for winner in winners:
        found.setdefault(winner.group, []).append(winner)
    return found


def _chart(group: str, winners: Sequence[Winner], evidence: Evidence) -> Chart:
    lines: dict[str, list[Winner]] = {}
    for winner, label in zip(winners, _labels(winners), strict=True):
        lines.setdefault(label, []).append(winner)
    sign = -1 if winners[0].metric == ACCURACY else 1
    ordered = sorted(lines.items(), key=lambda line: sign * line[1][-1].fresh.mean)
    series = tuple(
        _series(label, own, evidence, place < MOST_SHOWN)
        for place, (label, own) in enumerate(ordered)
    )
    y = metric_axis(winners[0].metric, [each.y for each in series])
    return Chart(f"protocol_budgets_{group}", group, "", Axis("trials", "log"), y, series)


def _series(label: str, own: Sequence[Winner], evidence: Evidence, is_shown: bool) -> Series:
    found = [winner.fresh for winner in own]
    return Series(
        label,
        np.array([float(winner.budget) for winner in own]),
        np.array([each.mean for each in found]),
        np.array([each.low for each in found]),
        np.array([each.high for each in found]),
        look=evidence.looks.get(own[0].optimizer, REST),
        texts=tuple(winner.values for winner in own),
        is_shown=is_shown,
    )


def _winners(record: Record) -> Table:
    rows = [
        (group, _row(winner, label))
        for group, own in _groups(record.winners).items()
        for winner, label in zip(own, _labels(own), strict=True)
    ]
    columns, values = by_task(COLUMNS, rows)
    caption = (
        "Trial 0 is the optimizer's defaults. 'When chosen' is the mean on the seeds for tuning, "
        "which flatters; 'on fresh seeds' the mean with its 95 % interval. Tuning runs and their "
        "gradient evaluations are what the choice took."
    )
    title = "Winners by budget, validation metric"
    return Table("protocol_winners", title, caption, columns, values)


def _row(winner: Winner, label: str) -> tuple[Value, ...]:
    found = winner.fresh
    return (
        *(label, winner.budget, winner.trial, winner.values, winner.tuned),
        *(found.mean, found.low, found.high, len(winner.scores)),
        *(winner.runs, winner.misses, winner.row_gradients),
    )


def _space(record: Record) -> Table:
    protocol = record.protocol
    names = {w.optimizer for w in record.winners} or set(protocol.spaces.known)
    rows = [
        (optimizer, option, interval.low, interval.high, interval.scale)
        for optimizer, space in protocol.spaces.known.items()
        if optimizer in names
        for option, interval in space.items()
    ]
    caption = (
        "Searched evenly in the value (linear), in its logarithm (log) or in the logarithm of one "
        "minus it (complement). Of an optimizer that is not here, such as one of a plugin, the "
        f"learning rate was searched from its default over {protocol.spaces.factor:g} to "
        f"{protocol.spaces.factor:g} times it."
    )
    heads = ("optimizer", "option", "low", "high", "scale")
    columns = tuple(Column(head, head) for head in heads)
    return Table("protocol_space", "What was searched", caption, columns, rows)
