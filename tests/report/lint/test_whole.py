from optlab.report.lint.whole import whole_lines
from tests.report.grids import FOLDER, evidence, grid, run


def test_lines_of_a_grown_sweep_become_one_with_all_values() -> None:
    runs = [*grid(rates=[0.01], seeds=[0, 1]), *grid(["nag"], [0.1], [5], schedule="cosine")]
    own = evidence(
        runs,
        "optimizer=adam,nag optimizer.lr=0.01 seed=0,1 task=blobs",
        "optimizer=choice(nag) optimizer.lr=choice(0.1) seed=5 schedule=cosine task=blobs",
    )
    assert whole_lines(own) == [
        (
            FOLDER,
            [
                "optimizer=adam,nag",
                "optimizer.lr=0.01,0.1",
                "seed=0,1,5",
                "task=blobs",
                "schedule=choice(cosine)",
            ],
        )
    ]


def test_lines_of_different_optimizers_stay_apart() -> None:
    lines = ("optimizer=adam optimizer.lr=0.01", "optimizer=nag optimizer.lr=0.1")
    own = evidence([*grid(["adam"], [0.01], [0]), *grid(["nag"], [0.1], [0])], *lines)
    assert [" ".join(line) for _, line in whole_lines(own)] == list(lines)


def test_searches_stay_as_they_are() -> None:
    word = "tag(log,interval(1e-4,1e-1))"
    lines = (f"optimizer=adam optimizer.lr={word}", f"optimizer=adam,nag optimizer.lr={word}")
    own = evidence(grid(seeds=[0]), *lines)
    assert [" ".join(line) for _, line in whole_lines(own)] == list(lines)


def test_a_search_that_grew_is_one_with_all_seeds_and_the_most_trials() -> None:
    word = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
    lines = (
        f"optimizer=adam {word} sweep.trials=4 seed=0,1",
        f"{word} optimizer=adam sweep.trials=12 seed=1,2,3",
        f"optimizer=nag {word} sweep.trials=4 seed=0,1",
    )
    runs = [*grid(["adam"], seeds=range(4)), *grid(["nag"], seeds=[0, 1])]
    assert [" ".join(line) for _, line in whole_lines(evidence(runs, *lines))] == [
        f"optimizer=adam {word} sweep.trials=12 seed=range(0,4)",
        lines[2],
    ]


def test_batches_are_never_given_to_who_is_called_by_them() -> None:
    runs = [
        run(optimizer="sgd", trainer__batch_size=1),
        run(optimizer="adam"),
        run(optimizer="adam", trainer__batch_size=64),
    ]
    own = evidence(runs, "optimizer=sgd,adam", "optimizer=adam trainer.batch_size=64")
    assert [" ".join(line) for _, line in whole_lines(own)] == [
        "optimizer=choice(sgd)",
        "optimizer=choice(adam) trainer.batch_size=32,64",
    ]


def test_a_stage_of_a_protocol_has_no_line() -> None:
    """Its seeds and rates come from the protocol and stand in no line."""
    assert whole_lines(evidence(grid(seeds=[1000]), "optimizer=adam,nag")) == []
    assert whole_lines(evidence(grid(seeds=[0]), "optimizer=adam,nag")) == []
    assert whole_lines(evidence(grid(rates=[0.1], seeds=[0]), "optimizer=adam,nag")) != []
