from optlab.report.lint.missing import missing_runs, unfinished_runs
from tests.report.grids import config, evidence, grid, run

LINE = "optimizer=adam,nag"


def test_missing_runs_are_counted_by_state_and_resumed() -> None:
    holes = [config(optimizer="lion", seed=seed) for seed in range(3)]
    (found,) = missing_runs(evidence(grid(), LINE, missing=holes, state="killed"))
    assert "3 of 39 runs have no result (3 killed)" in found.sentence
    assert found.command == "optlab sweep --resume runs/compare"


def test_a_whole_sweep_misses_nothing() -> None:
    assert missing_runs(evidence(grid(), LINE)) == []


def test_interrupted_and_failed_runs_are_told_apart() -> None:
    runs = [*grid(), run(status="interrupted", lr=0.5), run(status="failed", lr=0.6)]
    (found,) = unfinished_runs(evidence(runs))
    assert "1 interrupted and 1 failed" in found.sentence
    assert found.command == "", "it may be one of Hydra's own multirun"
    assert unfinished_runs(evidence(grid())) == []


def test_a_run_that_is_alone_goes_on_by_itself() -> None:
    (found,) = unfinished_runs(evidence([run(status="interrupted")]))
    assert found.command == "optlab train --resume runs/compare/interrupted"


def test_failed_runs_of_a_sweep_are_missing_and_not_told_twice() -> None:
    lost = run(status="failed", lr=0.5)
    own = evidence([*grid(), lost], LINE, missing=[lost.config], state="failed")
    hole = own.sweeps[0].missing[0]
    object.__setattr__(hole, "folder", lost.folder)
    assert unfinished_runs(own) == []
    assert "1 of 37 runs has no result (1 failed)" in missing_runs(own)[0].sentence
