from collections.abc import Callable

from optlab.records import RunRecord
from optlab.report.charts.styles import MARKERS, REST
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank

MakeRun = Callable[..., RunRecord]


def test_an_optimizer_looks_the_same_on_every_task(make_run: MakeRun) -> None:
    values = {("a", "adam"): 0.9, ("a", "sgd"): 0.8, ("b", "adam"): 0.1, ("b", "sgd"): 0.7}
    runs = [
        make_run(
            {"task": {"name": task}, "optimizer": {"name": name, "lr": lr}},
            val={"accuracy": value + lr},
        )
        for (task, name), value in values.items()
        for lr in (0.01, 0.02)
    ]
    looks = Evidence(runs, rank(runs)).looks
    assert set(looks) == {"adam", "sgd"}
    assert looks["adam"] != looks["sgd"]


def test_an_optimizer_beyond_the_distinct_looks_is_grey(make_run: MakeRun) -> None:
    names = [f"rule{place:02d}" for place in range(len(MARKERS) + 2)]
    runs = [
        make_run({"optimizer": {"name": name}}, val={"accuracy": 0.9 - place / 100})
        for place, name in enumerate(names)
    ]
    looks = Evidence(runs, rank(runs)).looks
    assert [name for name, look in looks.items() if look == REST] == names[len(MARKERS) :]


def test_of_cells_that_are_one_method_on_a_task_the_best_counts(make_run: MakeRun) -> None:
    adam = {"optimizer": {"name": "adam"}}
    # By accuracy losses are compared, and a method is told without them for the task of losses.
    digits = [
        make_run({**adam, "task": {"name": "digits"}, "loss": {"name": loss}}, val={"accuracy": v})
        for loss, v in (("mse", 0.9), ("hinge", 0.8))
    ]
    valley = make_run(
        {**adam, "task": {"name": "valley"}, "loss": {"name": "mse"}}, val={"loss": 1.0}
    )
    (own,) = Evidence([*digits, valley], rank([*digits, valley])).methods.values()
    assert own["digits"].val.mean == 0.9


def test_where_nothing_is_ranked_optimizers_have_looks_all_the_same(make_run: MakeRun) -> None:
    runs = [make_run({"optimizer": {"name": name}}, status="failed") for name in ("adam", "sgd")]
    looks = Evidence(runs, rank(runs)).looks
    assert REST not in (looks["adam"], looks["sgd"])


def test_interrupted_runs_are_none_of_a_cell_and_the_others_are_by_seed(make_run: MakeRun) -> None:
    ends = {3: "done", 0: "interrupted", 2: "diverged", 1: "done"}
    runs = [make_run({"seed": s}, val={"loss": 1.0}, status=status) for s, status in ends.items()]
    evidence = Evidence(runs, rank(runs))
    (cell,) = evidence.ranking.cells
    assert [run.result.seed for run in evidence.of(cell)] == [1, 2, 3]
