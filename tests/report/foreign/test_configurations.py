import pytest

from optlab.report.foreign.configurations import configuration, with_seeds


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
    ],
)  # fmt: skip
def test_a_name_says_what_varies(name, expected):
    assert configuration(name, {}) == expected


def test_hyperparameters_go_before_the_name():
    hparams = {"learning_rate": 0.5, "optimizer": "lion", "model/depth": 3, "model": "mlp"}
    found = configuration("lr=0.1,seed=3", hparams)
    assert found == {"optimizer": {"lr": 0.5, "name": "lion"}, "model": {"depth": 3, "name": "mlp"}}


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
