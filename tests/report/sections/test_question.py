from collections.abc import Callable
from pathlib import Path

from optlab.records import Missing, RunRecord, SweepRecord
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.question import question

MakeRun = Callable[..., RunRecord]


def section(records: list[RunRecord], *sweeps: SweepRecord) -> Section:
    return question(Evidence(records, rank(records), sweeps))


def rows(found: Section, name: str) -> dict[object, tuple[object, ...]]:
    """Return the rows of a table by what stands first in each."""
    (table,) = [table for table in found.tables if table.name == name]
    return {row[0]: tuple(row[1:]) for row in table.rows}


def grid(make_run: MakeRun) -> list[RunRecord]:
    sizes = {"adam": 32, "batch_gd": "full"}
    return [
        make_run(
            {
                "seed": seed,
                "task": {"name": "digits", "noise": None},
                "optimizer": {"name": name, "lr": lr},
                "trainer": {"epochs": 5, "batch_size": size, "restore_best": True},
                "logger": {"console": seed == 0},
            },
            val={"loss": 0.5, "accuracy": 0.9},
        )
        for name, size in sizes.items()
        for lr in (0.1, 0.001)
        for seed in (0, 1, 2)
    ]


def test_the_first_sentence_says_what_varied_the_optimizer_first(make_run: MakeRun) -> None:
    found = section(grid(make_run))
    assert found.sentences[0] == (
        "12 runs in 4 cells: optimizer (2 values), lr (2 values, 0.001 to 0.1), seed (3 values, "
        "0 to 2) varied. The runs of a cell, 3 of each, differ in the seed alone."
    )


def test_factors_are_listed_with_their_values_numbers_by_size(make_run: MakeRun) -> None:
    assert rows(section(grid(make_run)), "factors") == {
        "optimizer.name": (2, "adam, batch_gd"),
        "optimizer.lr": (2, "0.001, 0.1"),
        "trainer.batch_size": (2, "32, full"),
        "seed": (3, "0, 1, 2"),
    }


def test_what_was_held_is_said_as_it_is_typed_and_where_output_went_is_not(
    make_run: MakeRun,
) -> None:
    found = section(grid(make_run))
    assert found.sentences[1].startswith("Held for all: task=digits, epochs=5;")
    assert rows(found, "held") == {
        "task.name": ("digits",),
        "task.noise": ("null",),
        "trainer.epochs": ("5",),
        "trainer.restore_best": ("true",),
    }


def test_it_says_that_test_chose_nothing_and_what_lost_runs_count(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0}, val={"accuracy": 0.9}, test={"accuracy": 0.8}),
        make_run({"seed": 1}, status="diverged"),
        make_run({"seed": 2}, status="interrupted"),
    ]
    told = " ".join(section(runs).sentences)
    assert "Cells are ranked by mean validation accuracy over seeds" in told
    assert "Nothing was chosen by the test split" in told
    untested = " ".join(section([make_run({"seed": 3}, val={"accuracy": 0.9})]).sentences)
    assert "test split" not in untested  # logs of others may have none, or rank by it
    assert "1 run diverged or failed and counted as accuracy 0: none was dropped" in told
    assert "1 run interrupted: counted, and not scored" in told


def test_each_metric_names_its_tasks_where_there_are_two(make_run: MakeRun) -> None:
    runs = [
        make_run({"task": {"name": "digits"}}, val={"loss": 0.5, "accuracy": 0.9}),
        make_run({"task": {"name": "saddle"}}, val={"loss": 0.5}),
    ]
    told = section(runs).sentences[1]
    assert "by mean validation accuracy over seeds (digits)" in told
    assert "by mean validation loss over seeds (saddle), each task apart" in told


def test_one_run_on_a_test_function_is_not_said_to_lack_seeds(make_run: MakeRun) -> None:
    function = {"task": {"name": "rosenbrock", "noise": 0.0}, "model": {"name": "point"}}
    runs = [
        make_run({"seed": 0, "optimizer": {"name": name}, **function}, val={"loss": 0.1})
        for name in ("adam", "nag")
    ]
    said = " ".join(section(runs).sentences)
    assert "A cell is one run here, and seeds change nothing in it." in said
    assert "nothing is known" not in said


def test_one_run_of_each_cell_is_said_to_tell_nothing_of_seeds(make_run: MakeRun) -> None:
    runs = [make_run({"optimizer": {"name": n}}, val={"loss": 1.0}) for n in ("adam", "sgd")]
    assert "A cell is one run here" in section(runs).sentences[0]
    assert section(runs[:1]).sentences[0] == "1 run in 1 cell: nothing varied."


def test_what_was_typed_can_be_copied_and_what_is_missing_is_counted(
    make_run: MakeRun, tmp_path: Path
) -> None:
    typed = ("optimizer=adam,sgd", "model.hidden=[64, 32]", "sweep.dir=there")
    missing = [Missing({}, state, tmp_path) for state in ("queued", "killed", "queued")]
    sweep = SweepRecord(tmp_path, (typed, typed), tuple(missing))
    found = section([make_run({"seed": 0}, val={"loss": 1.0})], sweep)
    assert found.commands == ("optlab sweep optimizer=adam,sgd 'model.hidden=[64, 32]'",)
    assert any("3 planned runs without a result (1 killed, 2 queued)" in s for s in found.sentences)
