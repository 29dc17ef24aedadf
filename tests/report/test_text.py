from collections.abc import Callable
from dataclasses import replace

import pytest

from optlab.records import RunRecord
from optlab.report.page import Objection
from optlab.report.ranking import rank
from optlab.report.text import objections_text, render_text, verdict_words
from optlab.results import Verdict

MakeRun = Callable[..., RunRecord]


def paragraph(text: str) -> str:
    """Return the sentences at the text's head as one line."""
    return " ".join(text.partition("\n\n")[0].splitlines())


@pytest.fixture
def runs(make_run: MakeRun) -> list[RunRecord]:
    values = {("adam", 0): 0.9, ("adam", 1): 0.8, ("sgd", 0): 0.4}
    made = [
        make_run(
            {"seed": seed, "optimizer": {"name": name}},
            val={"loss": 0.5, "accuracy": value},
            test={"accuracy": value / 2},
        )
        for (name, seed), value in values.items()
    ]
    made.append(make_run({"seed": 1, "optimizer": {"name": "sgd"}}, status="diverged"))
    return made


def test_text_has_one_line_per_cell_in_order_and_says_how_it_was_ranked(
    runs: list[RunRecord],
) -> None:
    text = render_text(rank(runs))
    lines = text.splitlines()
    assert lines[0].startswith("4 runs in 2 cells (1 diverged); ranked by mean validation accuracy")
    assert "a run that diverged or failed counts as accuracy 0" in paragraph(text)
    rows = [line.split() for line in lines if line.split()[:1] in (["1"], ["2"])]
    assert [row[:5] for row in rows] == [
        ["1", "adam", "2", "0", "0.8500"],
        ["2", "sgd", "2", "1", "0.2000"],
    ]
    assert "\x1b" not in text


def test_text_leaves_out_columns_of_ends_that_no_run_came_to(runs: list[RunRecord]) -> None:
    assert "diverged" in render_text(rank(runs))
    assert "diverged" not in render_text(rank(runs[:3]))
    assert "interrupted" not in render_text(rank(runs))


def test_a_limited_text_says_how_many_cells_it_leaves_out(runs: list[RunRecord]) -> None:
    text = render_text(rank(runs), limit=1)
    assert "... and 1 more cell;" in text
    assert "sgd" not in text


def test_text_never_wraps_or_cuts_a_long_value(make_run: MakeRun) -> None:
    names = ["a" * 90, "b" * 90, "c" * 90]
    configs = [{"seed": 0, "init": {"name": n}, "model": {"name": n}} for n in names]
    text = render_text(rank([make_run(c, val={"loss": 1.0}) for c in configs]))
    assert all(name in text for name in names)


def test_text_shows_each_task_under_its_name(make_run: MakeRun) -> None:
    configs = [{"seed": 0, "task": {"name": name}} for name in ("digits", "moons")]
    text = render_text(rank([make_run(c, val={"loss": 1.0}) for c in configs]))
    assert [line for line in text.splitlines() if line in ("digits", "moons")] == [
        "digits",
        "moons",
    ]
    assert text.count("digits") == 1  # not in a column, too


def test_text_says_what_an_only_task_and_an_only_optimizer_are(make_run: MakeRun) -> None:
    config = {"seed": 0, "task": {"name": "digits"}, "optimizer": {"name": "adam"}}
    lines = render_text(rank([make_run(config, val={"loss": 1.0})])).splitlines()
    assert "digits" in lines
    assert lines[-1].split()[:3] == ["1", "adam", "1"]


def test_text_says_how_runs_ended_that_are_not_scored(make_run: MakeRun) -> None:
    runs = [make_run({"seed": 0}, val={"loss": 1.0}), make_run({"seed": 1}, status="interrupted")]
    text = render_text(rank(runs))
    assert "2 runs in 1 cell (1 interrupted)" in text
    assert "interrupted runs are counted, not scored" in text


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines()[1:])


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (200, []),
        (110, ["final val loss"]),
        (95, ["best val loss", "final val loss"]),
        (84, ["std", "best val loss", "final val loss"]),
        (70, ["std", "test accuracy", "best val loss", "final val loss"]),
    ],
)
def test_a_table_too_wide_leaves_out_its_least_important_columns(
    runs: list[RunRecord], width: int, gone: list[str]
) -> None:
    text = render_text(rank(runs), width=width)
    table, _, note = text.partition("(no room for ")
    assert widest(table) <= width
    assert [heading for heading in gone if heading in table] == []
    assert " ".join(note.split()).partition(":")[0] == ", ".join(gone)


def test_the_last_columns_stay_however_narrow_the_terminal_is(runs: list[RunRecord]) -> None:
    text = render_text(rank(runs), width=10)
    (header,) = [line for line in text.splitlines() if line.startswith("rank ")]
    assert header.split() == ["rank", "optimizer", "runs", "diverged", "val", "accuracy"]


def test_a_key_is_called_by_its_last_word_unless_two_have_the_same(make_run: MakeRun) -> None:
    sections = ("model", "norm")
    configs = [{"optimizer": {"lr": i}, **{name: {"x": i} for name in sections}} for i in (1, 2)]
    runs = [make_run(config, val={"accuracy": 1.0}) for config in configs]
    headings = render_text(rank(runs)).splitlines()[2].split()
    assert headings[:5] == ["rank", "lr", "model.x", "norm.x", "runs"]


def test_the_text_is_ascii(runs: list[RunRecord]) -> None:
    assert render_text(rank(runs)).isascii()


def test_a_key_that_is_the_same_in_all_cells_of_a_task_is_no_column(make_run: MakeRun) -> None:
    configs = [
        {"seed": 0, "task": {"name": task}, "optimizer": {"name": name}, "model": {"name": model}}
        for task, model in (("digits", "mlp"), ("beale", "point"))
        for name in ("adam", "sgd")
    ]
    text = render_text(rank([make_run(config, val={"loss": 1.0}) for config in configs]))
    assert "model" not in text
    assert "point" not in text


def test_each_task_is_shown_by_its_own_metric(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0, "task": {"name": "digits"}}, val={"loss": 0.5, "accuracy": 0.9}),
        make_run({"seed": 0, "task": {"name": "saddle"}}, val={"loss": 2.0}),
    ]
    text = render_text(rank(runs))
    lines = text.splitlines()
    assert "ranked by mean validation accuracy or loss over seeds" in paragraph(text)
    below = {name: lines[lines.index(name) + 1] for name in ("digits", "saddle")}
    assert "val accuracy" in below["digits"]
    assert "val loss" in below["saddle"]
    assert "accuracy" not in below["saddle"]


def test_a_column_without_a_number_is_left_out(make_run: MakeRun) -> None:
    text = render_text(rank([make_run({"seed": 0}, val={"loss": 1.0})]))
    assert "val loss" in text
    assert "std" not in text
    assert "interval" not in text
    assert "test loss" not in text


def judged(record: RunRecord, *names: str) -> RunRecord:
    verdicts = [Verdict(name, "", "", 2.0, 0) for name in names]
    return replace(record, result=replace(record.result, verdicts=verdicts))


def test_a_cell_with_verdicts_says_how_many_runs_have_each(runs: list[RunRecord]) -> None:
    ranking = rank(
        [judged(runs[0], "lr_too_high", "plateau"), judged(runs[1], "plateau"), *runs[2:]]
    )
    text = render_text(ranking)
    (header,) = [line for line in text.splitlines() if line.startswith("rank ")]
    best, other = (next(x for x in text.splitlines() if x.split()[:1] == [n]) for n in "12")
    assert header.endswith("verdicts")
    assert best.endswith("  plateau 2/2, lr too high 1/2")
    assert other.endswith(" -")
    assert "verdicts" not in render_text(rank(runs))


def test_verdicts_beyond_the_width_of_their_column_are_counted(runs: list[RunRecord]) -> None:
    (cell,) = rank([judged(runs[0], "lr_too_high", "plateau", "dead_units")]).cells
    assert verdict_words(cell, width=40) == "lr too high 1/1, plateau 1/1 +1"
    assert verdict_words(cell, width=5) == "lr too high 1/1 +2"


@pytest.mark.parametrize("width", [None, 80, 120])
def test_no_line_of_sentences_or_table_is_wider_than_it_may_be(
    make_run: MakeRun, width: int | None
) -> None:
    verdicts = ("lr_too_high", "plateau", "dead_units", "vanishing_gradient", "overfitting")
    runs = [
        judged(
            make_run(
                {"seed": seed, "optimizer": {"name": name, "lr": lr}},
                val={"loss": lr, "accuracy": 0.9 - seed / 100},
                test={"loss": lr, "accuracy": 0.9},
                curves={"loss/val": [1.0, lr / 2]},
            ),
            *verdicts[:seed],
        )
        for name in ("schedule_free_adamw", "adam")
        for lr in (0.001, 0.01)
        for seed in range(4)
    ]
    runs.append(make_run({"seed": 9, "optimizer": {"name": "adam", "lr": 1}}, status="failed"))
    runs.append(make_run({"seed": 9, "optimizer": {"name": "adam", "lr": 2}}, status="interrupted"))
    text = render_text(rank(runs), width=width)
    sentences, _, table = text.partition("\n\n")
    assert max(map(len, sentences.splitlines())) <= (width or 80)
    assert 60 < max(map(len, table.splitlines())) <= (width or 132)


def test_objections_are_wrapped_and_their_commands_are_not() -> None:
    sentence = "adam was tuned over 4 learning rates and sgd over 2, which favours adam: " * 2
    command = "optlab sweep " + "optimizer.lr=0.1 " * 8
    text = objections_text([Objection("budget", sentence.strip(), command), Objection("x", "Few.")])
    first, *more = text.splitlines()
    assert first.startswith("! adam was tuned over 4")
    assert f"    {command}" in more
    assert more[-1] == "! Few."
    assert all(len(line) <= 80 for line in text.splitlines() if command not in line)
    assert objections_text([]) == ""


def test_a_task_of_which_no_run_is_done_is_listed_and_not_ranked(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0, "task": {"name": task}, "optimizer": {"name": name}}, **end)
        for task, end in (
            ("bad", {"status": "failed"}),
            ("good", {"val": {"loss": 1.0, "accuracy": 0.5}}),
        )
        for name in ("adam", "sgd")
    ]
    text = render_text(rank(runs))
    assert "ranked by mean validation accuracy over seeds" in paragraph(text)
    bad, good = text.partition("bad")[2].split("good")
    assert bad.startswith("\nno run is done, and there is nothing to rank\n")
    assert "   -  adam" in bad
    assert "inf" not in bad
    assert "   1  adam" in good
