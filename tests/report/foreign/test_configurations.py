import pytest

from optlab.report.foreign.configurations import configuration, with_methods, with_names, with_seeds


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lr=0.1,seed=3", {"optimizer": {"lr": 0.1}, "seed": 3}),
        ("opt=adam,lr=1e-3", {"optimizer": {"name": "adam", "lr": 1e-3}}),
        ("dataset=mnist/bs=32", {"task": {"name": "mnist"}, "trainer": {"batch_size": 32}}),
        ("optimizer=sgd;nesterov=true", {"optimizer": {"name": "sgd"}, "nesterov": True}),
        ("exp_7__lr=0.2__layers=3", {"optimizer": {"lr": 0.2}, "layers": 3}),
        ("baseline", {"run": "baseline"}),
        ("May01_host", {"run": "May01_host"}),
        ("adam/seed=3", {"run": "adam", "seed": 3}),
        ("b/adam_lr0.1_seed12", {"run": "b/adam_lr0.1", "seed": 12}),
        ("lr=0.1/seed_2", {"optimizer": {"lr": 0.1}, "seed": 2}),
        ("seed-0", {"seed": 0}),
        ("seedling3", {"run": "seedling3"}),
    ],
)  # fmt: skip
def test_a_name_says_what_varies(name, expected):
    assert configuration(name, {}) == expected


def test_hyperparameters_go_before_the_name():
    hparams = {"learning_rate": 0.5, "optimizer": "lion", "model/depth": 3, "model": "mlp"}
    found = configuration("lr=0.1,seed=3", hparams)
    expected = {"optimizer": {"lr": 0.5, "name": "lion"}, "model": {"depth": 3, "name": "mlp"}}
    assert found == {**expected, "seed": 3}


def test_a_section_in_the_place_of_a_value_keeps_it_as_its_name():
    assert configuration("", {"model": "mlp", "model/depth": 3}) == {
        "model": {"name": "mlp", "depth": 3}
    }


def test_what_is_called_seed_and_is_no_number_is_an_option():
    assert configuration("", {"seed": "grass"}) == {"seed_name": "grass"}


def test_runs_without_a_seed_are_numbered_within_their_cell():
    configs = [{"lr": 1}, {"lr": 1}, {"lr": 2}, {"lr": 3, "seed": 7}]
    assert with_seeds(configs) == 2
    assert [config["seed"] for config in configs] == [0, 1, 0, 7]


def test_runs_that_share_a_seed_are_told_apart_by_the_rest_of_their_names():
    names = ["adam,lr=1,seed=0", "sgd,lr=1,seed=0", "sgd,lr=1,seed=1", "sgd,lr=2,seed=0"]
    configs = [configuration(name, {}) for name in names]
    assert with_names(configs, names) == 3
    assert [config.get("run") for config in configs] == ["adam", "sgd", "sgd", None]


def test_where_the_rest_of_names_is_no_help_the_whole_tells_runs_apart():
    names = ["lr=1,seed=0", "seed=0,lr=1"]
    configs = [configuration(name, {}) for name in names]
    assert with_names(configs, names) == 2
    assert [config["run"] for config in configs] == names


def test_runs_with_seeds_of_their_own_keep_their_configuration():
    configs = [{"lr": 1, "seed": 0}, {"lr": 1, "seed": 1}]
    assert with_names(configs, ["a", "b"]) == 0
    assert configs == [{"lr": 1, "seed": 0}, {"lr": 1, "seed": 1}]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["adam/run0", "adam/run1", "sgd/run0"], ["adam/run", "adam/run", "sgd/run"]),
        (["version_0", "version_1"], [None, None]),
        (["20240101-1010", "20240102-1130"], [None, None]),
        (["Nov21_10-00-00_host", "Nov22_11-00-00_host"], [None, None]),
        (["resnet18_0", "resnet50_0"], ["resnet18", "resnet50"]),
    ],
)  # fmt: skip
def test_runs_without_seeds_whose_names_differ_in_more_than_a_number_are_no_seeds(names, expected):
    configs = [{"lr": 1} for _ in names]
    with_methods(configs, names)
    assert [config.get("run") for config in configs] == expected
