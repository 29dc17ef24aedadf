import pytest

from optlab.report.lint.environment import mixed_environment
from tests.report.grids import evidence, grid, run


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"commit": "abcdefabcdef"}, "commit 0123456 in 36 and abcdefa in 1 runs"),
        ({"versions": {"torch": "2.12"}}, "torch 2.11 in 36 and 2.12 in 1 runs"),
        ({"device": "another"}, "device a device in 36 and another in 1 runs"),
        ({"threads": 4}, "threads None in 36 and 4 in 1 runs"),
        ({"flags": {"cpu_capability": "AVX2"}}, "cpu_capability unknown in 36 and AVX2 in 1 runs"),
    ],
)
def test_runs_that_were_not_made_alike(other: dict, told: str) -> None:
    odd = run(0.5, lr=0.5, about=other)
    (found,) = mixed_environment(evidence([*grid(), odd], "optimizer=adam,nag seed=range(0,6)"))
    assert told in found.sentence


def test_they_are_trained_again_in_a_folder_of_their_own() -> None:
    runs = [*grid(rates=[0.1], seeds=[0]), run(lr=0.1, seed=1, about={"commit": "f" * 10})]
    (found,) = mixed_environment(evidence(runs, "optimizer=adam,nag optimizer.lr=0.1 seed=0,1"))
    assert found.command == (
        "optlab sweep optimizer=adam,nag optimizer.lr=0.1 seed=0,1 sweep.dir=runs/compare_again"
    )


def test_code_of_no_commit_favours_none_if_all_runs_have_it() -> None:
    dirty = [run(optimizer=name, about={"dirty": True}) for name in ("adam", "nag")]
    assert mixed_environment(evidence(dirty, "optimizer=adam,nag")) == []
    clean = run(optimizer="adam", lr=0.5)
    (found,) = mixed_environment(evidence([*dirty, clean], "optimizer=adam,nag"))
    assert "commit 0123456 with changes in 2 and 0123456 in 1 runs" in found.sentence


def test_alike_runs_and_variables_that_a_run_overrules_are_no_objection() -> None:
    odd = run(0.5, lr=0.5, about={"flags": {"OMP_NUM_THREADS": "7"}})
    failed = run(status="failed", lr=0.6, about={"versions": {}, "commit": None})
    assert mixed_environment(evidence([*grid(), odd, failed])) == []
