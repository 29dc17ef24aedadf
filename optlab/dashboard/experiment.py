"""The experiment of TensorBoard's page HPARAMS: which columns its table has.

Without one, the page lists every option of every run; of several, it takes any.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from optlab.dashboard.cell_runs import LOST, RANK, score_tags
from optlab.loggers.base import TRAIN_LOSS, VAL_LOSS
from optlab.loggers.event_file import hparam
from optlab.records import RunRecord
from optlab.report.cells import Ranking

MOST_VALUES = 9  # that the page lists with a box each; of more numbers it can ask for a range


def experiment_value(ranking: Ranking, records: Iterable[RunRecord], now: float) -> Summary.Value:
    """Return the description of a table with a row per cell.

    Args:
        ranking: The cells.
        records: Their runs.
        now: Seconds since 1970.
    """
    experiment = api_pb2.Experiment(
        time_created_secs=now,
        hparam_infos=hparam_infos(ranking.keys, [record.options for record in records]),
        metric_infos=metric_infos(sorted(set(ranking.metrics.values()))),
    )
    content = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    return Summary.Value(
        tag=metadata.EXPERIMENT_TAG,
        tensor=metadata.NULL_TENSOR,
        metadata=metadata.create_summary_metadata(content),
    )


def hparam_infos(
    keys: Sequence[str], options: Sequence[Mapping[str, Any]]
) -> list[api_pb2.HParamInfo]:
    """Return the columns of hyperparameters, with the values that occur; none that says nothing."""
    titles = short_titles(keys)
    infos = [
        _hparam_info(key, titles[key], {hparam(own[key]) for own in options if key in own})
        for key in keys
    ]
    return [info for info in infos if info.differs] or infos


def short_titles(keys: Sequence[str]) -> dict[str, str]:
    """Return what columns are called: ``lr`` for ``optimizer.lr``, ``init`` for ``init.name``."""
    short = {key: key.removesuffix(".name").rpartition(".")[2] for key in keys}
    taken = list(short.values())
    return {key: name if taken.count(name) == 1 else key for key, name in short.items()}


def _hparam_info(key: str, title: str, values: set[bool | float | int | str]) -> api_pb2.HParamInfo:
    info = api_pb2.HParamInfo(name=key, display_name=title, differs=len(values) > 1)
    kinds = {type(value) for value in values}
    numbers = [value for value in values if isinstance(value, int | float)]
    if kinds <= {int, float} and len(numbers) > MOST_VALUES:
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.CopyFrom(
            api_pb2.Interval(min_value=min(numbers), max_value=max(numbers))
        )
        return info
    if kinds == {bool}:
        info.type = api_pb2.DATA_TYPE_BOOL
    else:
        info.type = api_pb2.DATA_TYPE_FLOAT64 if kinds <= {int, float} else api_pb2.DATA_TYPE_STRING
    info.domain_discrete.extend(sorted(values, key=lambda value: (isinstance(value, str), value)))
    return info


def metric_infos(metrics: Sequence[str]) -> list[api_pb2.MetricInfo]:
    """Return the columns of results for what some groups of cells are ranked by.

    The page shows the first five unless asked for others.
    """
    columns = {RANK: ("rank", "place in the report's ranking, 1 is best")}
    for metric in metrics:
        val, _ = score_tags(metric)
        columns |= {
            val: (f"{metric}/val: mean", "over seeds; a run that was lost counts as the worst"),
            f"{val}_low": ("95 % from", "lower end of the 95 % interval of that mean"),
            f"{val}_high": ("95 % to", "upper end of the 95 % interval of that mean"),
        }
    columns[LOST] = ("lost runs", "seeds that diverged or failed")
    for metric in metrics:
        columns[score_tags(metric)[1]] = (f"{metric}/test: mean", "nothing is chosen by it")
    for tag in dict.fromkeys([*(f"{metric}/val" for metric in metrics), VAL_LOSS, TRAIN_LOSS]):
        columns[tag] = (f"{tag}: last", "last record, mean of the seeds that TensorBoard is given")
    return [
        api_pb2.MetricInfo(
            name=api_pb2.MetricName(tag=tag), display_name=title, description=description
        )
        for tag, (title, description) in columns.items()
    ]
