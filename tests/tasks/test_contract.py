"""What every registered task must do."""

import dataclasses
import inspect

import pytest
import torch

import optlab.tasks  # noqa: F401 - fills the registry
from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks import Data


@pytest.fixture(params=list(tasks))
def task(request):
    return tasks.get(request.param)


@pytest.fixture
def options(task, small_options):
    return small_options(task)


def tensors(data: Data) -> list[torch.Tensor]:
    return [t for split in (data.train, data.val, data.test) for t in (split.x, split.y)]


def test_splits_have_rows_of_one_shape(task, options):
    data = task(**options).load()
    for split in (data.train, data.val, data.test):
        assert len(split) == len(split.y) > 0
        assert split.x.shape[1:] == data.input_shape


def test_inputs_are_reals_or_tokens_of_the_vocabulary(task, options):
    data = task(**options).load()
    for split in (data.train, data.val, data.test):
        if data.vocabulary is None:
            assert split.x.dtype == torch.float32
        else:
            assert split.x.dtype == torch.int64
            assert split.x.ndim == 2
            assert 0 <= split.x.min() <= split.x.max() < data.vocabulary


def test_values_are_finite_and_on_the_cpu(task, options):
    for tensor in tensors(task(**options).load()):
        assert tensor.isfinite().all()
        assert tensor.device.type == "cpu"


def test_targets_are_class_numbers_or_columns_of_reals_at_each_of_the_last_steps(task, options):
    data = task(**options).load()
    steps = () if data.target_steps is None else (data.target_steps,)
    for split in (data.train, data.val, data.test):
        if data.num_classes is None:
            assert split.y.dtype == torch.float32
            assert split.y.shape == (len(split), *steps, data.num_outputs)
        else:
            assert split.y.dtype == torch.int64
            assert split.y.shape == (len(split), *steps)
            assert 0 <= split.y.min() <= split.y.max() < data.num_classes


def test_same_options_give_the_same_tensors_and_leave_the_global_generator(task, options):
    before = torch.get_rng_state()
    first, second = task(**options).load(), task(**options).load()
    assert all(map(torch.equal, tensors(first), tensors(second)))
    assert first.notes == second.notes
    assert torch.equal(torch.get_rng_state(), before)


def test_data_seed_changes_what_is_drawn(task, options):
    names = {field.name for field in dataclasses.fields(task)}
    drawn = options | ({"noise": 1.0} if "noise" in names else {})
    if "data_seed" not in names:
        assert not names, "a task with options draws something, hence has a data_seed"
        return
    first, second = (task(**drawn, data_seed=seed).load() for seed in (0, 1))
    assert not torch.equal(first.train.x, second.train.x) or not torch.equal(
        first.train.y, second.train.y
    )


def test_no_two_splits_share_storage_with_another_load(task, options):
    kept, spoiled = task(**options).load(), task(**options).load()
    for tensor in tensors(spoiled):
        tensor.zero_()
    assert all(map(torch.equal, tensors(kept), tensors(task(**options).load())))


def test_options_out_of_range_are_refused_by_the_class_itself(task):
    if "data_seed" in {field.name for field in dataclasses.fields(task)}:
        with pytest.raises(ConfigError, match=r"data_seed must be in \[0, inf\), got -1"):
            task(data_seed=-1)
    with pytest.raises(TypeError):
        task(no_such_option=1)


def test_docstrings_name_every_option(task):
    text = "".join(inspect.cleandoc(base.__doc__ or "") for base in task.__mro__)
    for field in dataclasses.fields(task):
        assert f"\n    {field.name}: " in text


def test_objective_maps_points_to_values_and_has_minima(task, options):
    data = task(**options).load()
    if data.objective is None:
        assert data.minima is None
        return
    assert data.objective(torch.zeros(3, data.num_outputs)).shape == (3,)
    assert data.minima.shape[1:] == (data.num_outputs,)
