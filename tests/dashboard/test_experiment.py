from typing import Any

import pytest
from tensorboard.plugins.hparams import api_pb2

from optlab.dashboard.experiment import MOST_VALUES, hparam_infos, metric_infos, short_titles


def info_of(values: list[Any]) -> api_pb2.HParamInfo:
    (info,) = hparam_infos(["a.b"], [{"a.b": value} for value in values])
    return info


def test_a_few_values_are_listed_in_order() -> None:
    info = info_of([0.1, 0.001, 1, 0.1])
    assert info.type == api_pb2.DATA_TYPE_FLOAT64
    assert list(info.domain_discrete) == [0.001, 0.1, 1]


def test_of_many_numbers_the_range_is_told() -> None:
    info = info_of([float(value) for value in range(MOST_VALUES + 1)])
    assert (info.domain_interval.min_value, info.domain_interval.max_value) == (0, MOST_VALUES)


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        ([32, "full"], [32, "full"]),
        ([None, 300], [300, "None"]),
        ([[64, 32], [64]], ["[64, 32]", "[64]"]),
        ([float("inf"), 1.0], [1.0, "inf"]),
    ],
)
def test_values_of_any_kind_are_listed_as_runs_tell_them(
    values: list[Any], listed: list[Any]
) -> None:
    info = info_of(values)
    assert info.type == api_pb2.DATA_TYPE_STRING
    assert list(info.domain_discrete) == listed


def test_switches_are_listed_as_such() -> None:
    info = info_of([True, False])
    assert info.type == api_pb2.DATA_TYPE_BOOL
    assert list(info.domain_discrete) == [False, True]


def test_what_does_not_vary_is_no_column_unless_nothing_does() -> None:
    runs = [{"optimizer.lr": rate, "task.name": "digits"} for rate in (0.1, 0.2)]
    assert [info.name for info in hparam_infos(list(runs[0]), runs)] == ["optimizer.lr"]
    assert len(hparam_infos(list(runs[0]), runs[:1])) == 2


def test_columns_have_short_names_where_these_are_unique() -> None:
    assert short_titles(["optimizer.lr", "init.name", "a.gain", "b.gain", "seed"]) == {
        "optimizer.lr": "lr",
        "init.name": "init",
        "a.gain": "a.gain",
        "b.gain": "b.gain",
        "seed": "seed",
    }


def test_results_of_a_sweep_by_loss_are_told_once() -> None:
    tags = [info.name.tag for info in metric_infos(["loss"])]
    assert tags[:2] == ["score/rank", "score/loss_val"]
    assert len(tags) == len(set(tags))
