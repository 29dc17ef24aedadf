"""Sections of a report with figures of each kind and tables of all values."""

from optlab.report.page import Column, Objection, Section, Table
from tests.report.examples import HOSTILE, figures

OBJECTIONS = (
    Objection(
        "few_seeds", "3 cells have 2 seeds, the others 3.", "optlab sweep seed=0,1,2 --resume"
    ),
    Objection("edge", "The best rate of sgd is the largest that was tried: 0.1."),
)


def table(rows: int = 50) -> Table:
    """All kinds of values, with some missing and some infinite."""
    columns = (
        Column("cell", "cell"),
        Column("validation accuracy", "val_accuracy"),
        Column("loss (nats)", "loss"),
        Column("runs", "runs"),
        Column("timed alone", "alone"),
    )
    content = [
        (
            f"optimizer {i:02d}",
            0.9 - i / 100,
            [0.5, float("inf"), None, float("nan")][i % 4],
            i,
            i % 2 == 0,
        )
        for i in range(rows)
    ]
    return Table("cells", "All cells", "Best first.", columns, content)


def sections() -> tuple[Section, ...]:
    """A small report of all kinds of figures."""
    first, *rest = figures()
    hostile_table = Table(
        "bad", HOSTILE, HOSTILE, (Column(HOSTILE, "x"),), [(HOSTILE,)] * 3, most=2
    )
    return (
        Section("question", "What was asked", ("Eight optimizers on digits.", HOSTILE)),
        Section("ranking", "Ranking", ("The best first.",), (first,), (table(),)),
        Section("all", "Everything else " + HOSTILE, (), tuple(rest), (hostile_table,)),
    )
