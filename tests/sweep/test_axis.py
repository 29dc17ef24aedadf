"""Every option of the YAML files is a run's own or its program's, and what is a run's own may be.

The options are taken from the files, so a new one without a row in `DECISIONS` fails here.
"""

import copy
from pathlib import Path

import pytest
import torch
import yaml

from optlab import registry
from optlab.build import parts_of
from optlab.catalog import groups
from optlab.sweep.axis import (
    OF_A_RUN_IN_TRAINER,
    START_IN_MODEL,
    WEIGHTLESS,
    WITH_DROPOUT,
    refusal,
)
from optlab.sweep.plan import grouped
from optlab.train.step import initial_state, make_run_step
from tests.sweep.planning import planned, planned_all
from tests.sweep.test_wiring import EFFECTS, OPTIONS, changed, choices

CONFIGS = Path(__file__).parents[2] / "configs"

RUN, PROGRAM = "its own", "its program's"

#: Whose an option is. ``CHOICE.option`` goes before ``GROUP.option``, and that before ``GROUP``.
DECISIONS = {
    **dict.fromkeys(["optimizer", "transform", "init", "schedule", "regularizer"], RUN),
    **dict.fromkeys(["task", "loss", "norm", "diagnostics", "logger"], PROGRAM),
    "seed": RUN,
    "device": PROGRAM,
    "plugins": PROGRAM,
    "checkpoint_s": PROGRAM,
    "trainer.epochs": PROGRAM,
    "trainer.batch_size": PROGRAM,
    "trainer.sampler": PROGRAM,
    "trainer.log_every": PROGRAM,
    "trainer.eval_every": PROGRAM,
    "trainer.patience": RUN,
    "trainer.min_delta": RUN,
    "trainer.restore_best": RUN,
    "trainer.engine": PROGRAM,
    "trainer.dtype": PROGRAM,
    "trainer.threads": PROGRAM,
    "activation.slope": RUN,
    "activation.alpha": RUN,
    "prelu.slope": PROGRAM,
    "model.hidden": PROGRAM,
    "model.depth": PROGRAM,
    "model.width": PROGRAM,
    "model.heads": PROGRAM,
    "model.norm_position": PROGRAM,
    "model.dropout": PROGRAM,  # between 0 and above 0; two rates above 0 are their runs' own
    "model.layers": PROGRAM,
    "model.channels": PROGRAM,
    "model.kernel": PROGRAM,
    "model.pool": PROGRAM,
    "model.window": PROGRAM,
    "model.shortcut": PROGRAM,
    "model.start": RUN,
    "lstm.bidirectional": PROGRAM,
    "lstm.forget_bias": RUN,
    "lstm.recurrent_init": RUN,
    "rnn.nonlinearity": PROGRAM,
    "rnn.recurrent_init": RUN,
    "rnn.recurrent_gain": RUN,
    "rnn.inputs": PROGRAM,
    "rnn.outputs": PROGRAM,
    "rnn.feedback": PROGRAM,
    "rnn.steps": PROGRAM,
    "rnn.learn_initial": PROGRAM,
}


def read(group, choice):
    """Return what a choice's file says, by section; a global file may choose other groups too."""
    content = yaml.safe_load((CONFIGS / group / f"{choice}.yaml").read_text())
    content = content if group in content else {group: content}
    of_hydra = ("defaults", "hydra")  # what else to choose, and what a sweep varies by itself
    return {section: value for section, value in content.items() if section not in of_hydra}


GROUPS = sorted(groups())  # of a run: a protocol is of a sweep
WRITTEN = [
    (group, choice, option)
    for group in GROUPS
    if group != "experiment"  # presets: sections of other groups
    for choice in choices(group)
    for option in read(group, choice).get(group, {})
    if option != "name"
]
TOP_LEVEL = [
    key for key in yaml.safe_load((CONFIGS / "train.yaml").read_text()) if key != "defaults"
]


def decision(group, choice, option):
    rows = (f"{choice}.{option}", f"{group}.{option}", choice, group)
    return DECISIONS[next(row for row in rows if row in DECISIONS)]


def another(value):
    """Return a value of the same form, whatever it may mean."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [another(each) for each in value] or [1]
    if isinstance(value, str):
        return f"{value}2"
    return 1 if value is None else value + 1


def with_section(group, choice):
    config = copy.deepcopy(planned().config)
    for section, value in read(group, choice).items():
        config[section] = value if section == group else config[section] | value
    return config


def whose(before, after):
    """Return whose the difference between two configurations is."""
    runs = planned_all(before, after)
    return RUN if len(grouped(runs)) == 1 else PROGRAM


@pytest.mark.parametrize("case", WRITTEN, ids="-".join)
def test_every_written_option_is_whose_it_was_decided_to_be(case):
    group, choice, option = case
    before, after = (with_section(group, choice) for _ in range(2))
    after[group][option] = another(after[group][option])
    assert whose(before, after) == decision(*case)


@pytest.mark.parametrize("key", TOP_LEVEL)
def test_every_top_level_key_is_whose_it_was_decided_to_be(key):
    before, after = (dict(planned().config) for _ in range(2))
    after[key] = another(before[key])
    assert whose(before, after) == DECISIONS[key]


@pytest.mark.parametrize("group", ["optimizer", "init", "schedule", "activation"])
def test_every_choice_of_what_is_a_runs_own_joins_one_program(group):
    special = {"foreign", "prelu", "sgd", "batch_gd"}  # the last two choose a batch size, too
    choices_of_runs = [choice for choice in choices(group) if choice not in special]
    assert len(choices_of_runs) > 5
    assert len(grouped(planned_all(*(with_section(group, c) for c in choices_of_runs)))) == 1


@pytest.mark.parametrize("group", ["task", "model", "norm", "loss"])
def test_every_choice_of_what_is_a_programs_splits(group):
    runs = planned_all(*(with_section(group, choice) for choice in choices(group)))
    assert len(grouped(runs)) == len(runs) > 2


def test_dropout_rates_above_zero_are_their_runs_own():
    rates = [0.1, 0.5, "ann"]
    runs = planned_all(*({"model__dropout": rate} for rate in rates))
    assert len(grouped(runs)) == 1
    assert len(grouped([*runs, planned(3), planned(4, model__dropout=0)])) == 2


def test_a_longer_start_of_a_point_is_another_shape():
    starts = [[1.0, 1.0], [2.0, 2.0], [1.0, 1.0, 1.0]]
    runs = [
        planned(i, composed_for="quadratic", model__start=start) for i, start in enumerate(starts)
    ]
    assert [len(group.runs) for group in grouped(runs)] == [2, 1]


def test_activations_of_plugins_are_programs_of_their_own():
    """Their weights are unknown before they are made."""
    own = [{"activation": {"name": "swish", "beta": beta}} for beta in (1.0, 2.0)]
    assert len(grouped(planned_all(*own, {}))) == 3


def test_options_of_models_of_plugins_split():
    own = [{"model": {"name": "mine", "dropout": rate}} for rate in (0.1, 0.2)]
    assert len(grouped(planned_all(*own))) == 2


def test_what_has_no_rule_or_an_object_of_its_own_trains_singly():
    assert refusal(planned().config) == ""
    assert "optimizer=foreign" in refusal(planned(0, optimizer__name="foreign").config)
    for engine in ("plain", "functional"):
        reason = refusal(planned(0, trainer__engine=engine).config)
        assert f"trainer.engine={engine}" in reason


def test_the_weightless_activations_are_those_without_weights():
    made = {name: registry.activations.get(name)() for name in choices("activation")}
    assert {name for name, module in made.items() if not module.state_dict()} == WEIGHTLESS


def test_the_models_with_dropout_are_those_with_the_option():
    named = {model for model in choices("model") if "dropout" in read("model", model)["model"]}
    assert named == WITH_DROPOUT


def test_what_is_named_exists():
    assert set(read("trainer", "default")["trainer"]) >= OF_A_RUN_IN_TRAINER
    assert all(names <= set(read("model", m)["model"]) for m, names in START_IN_MODEL.items())


#: One case for each row of the wiring test whose option is a run's own.
OWN = {
    (f"{choice}.{key}" if f"{choice}.{key}" in EFFECTS else f"{group}.{key}"): (group, choice, key)
    for group, choice, key in reversed(OPTIONS)
    if decision(group, choice, key) == RUN or key == "dropout"
}
#: Pairs of a configuration and one with another value, to be told apart by nothing but numbers.
PAIRS = {row: case for row, case in OWN.items() if row != "model.dropout"}


def layout(parts):
    """Return what all runs of a program have in common, as far as it can be seen."""
    state = parts.module.state_dict()
    return {
        "weights": {name: (value.shape, value.dtype) for name, value in state.items()},
        "rows": (len(parts.data.train), parts.sampler.batch_size, parts.sampler.order),
        "updates": parts.num_updates,
        "values": parts.objective.names,
        "cadences": (parts.trainer.log_every, parts.trainer.eval_every, parts.diagnostics),
    }


@pytest.mark.parametrize("row", sorted(PAIRS))
def test_what_is_a_runs_own_changes_no_shape_and_no_cadence(row):
    before, after, _ = changed(PAIRS[row])
    assert layout(parts_of(before)) == layout(parts_of(after))


def one_update(parts, state):
    choice, rows = parts.optimizer, parts.data.train
    step = make_run_step(
        parts.module, parts.objective, choice.make.rule, choice.hyper, parts.regularizer, len(rows)
    )
    state, values = step(state, {}, (rows.x[:4], rows.y[:4]))
    return [*state.params.values(), *values]


@pytest.mark.parametrize(
    ("model", "option"),
    [(m, o) for m, names in START_IN_MODEL.items() for o in sorted(names)] + [("point", "start")],
)
def test_where_weights_begin_is_all_that_these_options_change(model, option):
    before, after, _ = changed(("model", model, option))
    one, other = parts_of(before), parts_of(after)
    state = initial_state(one.module, one.optimizer.make.rule, one.optimizer.hyper)
    pairs = zip(one_update(one, state), one_update(other, state), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    other_start = initial_state(other.module, other.optimizer.make.rule, other.optimizer.hyper)
    params = zip(state.params.values(), other_start.params.values(), strict=True)
    assert not all(torch.equal(a, b) for a, b in params)
