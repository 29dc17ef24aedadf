"""Every option and every choice of the YAML files reaches the run: none is read and forgotten.

The options are taken from the files, so a new one without a row in `EFFECTS` fails here.
"""

from itertools import combinations
from pathlib import Path

import pytest
import yaml

from optlab import registry
from optlab.build import build
from optlab.config import ConfigError
from optlab.config.schema import NAMED_SECTIONS
from tests.sweep.composing import configuration, differing, observe

CONFIGS = Path(__file__).parents[2] / "configs"
CHOICE_GROUPS = ["regularizer", "transform", *(name for name in NAMED_SECTIONS if name != "task")]
#: Options of these act in the job, outside `build`: see test_wiring_of_runs.py.
OF_THE_JOB = {"trainer.threads"}

#: option: (a value that is not the default, all that it changes, what else must be set to see it).
#: ``CHOICE.option`` goes before ``GROUP.option``.
EFFECTS = {
    "trainer.epochs": (8, "updates records end"),
    "trainer.batch_size": ("full", "updates records end"),
    "trainer.sampler": ("replacement", "end"),
    "trainer.log_every": (3, "records"),
    "trainer.eval_every": (2, "records"),
    "trainer.patience": (1, "updates records end", "trainer.min_delta=9"),
    "trainer.min_delta": (9.0, "updates records end", "trainer.patience=1"),
    "trainer.restore_best": (False, "end", "trainer.patience=1", "optimizer.lr=9"),
    "trainer.engine": ("plain", "engine"),
    "trainer.dtype": ("float64", "dtype"),
    "diagnostics.every": (3, "records", "diagnostics.every=5"),
    "diagnostics.gradient_norms": (False, "records", "diagnostics.every=5"),
    "diagnostics.weight_norms": (False, "records", "diagnostics.every=5"),
    "diagnostics.update_ratios": (False, "records", "diagnostics.every=5"),
    "diagnostics.flow_every": (3, "records"),
    "diagnostics.dead_units": (True, "records"),
    "full.dead_units": (False, "records"),
    "diagnostics.histograms_every": (3, "histograms"),
    "schedule.warmup": (0.5, "end"),
    "schedule.final": (0.5, "end"),
    "schedule.decay": (0.5, "end"),
    "schedule.every": (0.6, "end"),
    "schedule.power": (0.5, "end"),
    "schedule.cooldown": (0.6, "end"),
    "schedule.initial": (0.5, "end"),
    "wsd.shape": ("sqrt", "end"),
    "one_cycle.shape": ("linear", "end"),
    "transform.cautious": (True, "end"),
    "cautious.cautious": (False, "end"),
    "transform.lookahead_steps": (3, "end"),
    "transform.lookahead_alpha": (0.9, "end", "transform.lookahead_steps=4"),
    "transform.ema": (0.5, "end"),
    "transform.ema_bias_correction": (False, "end", "transform.ema=0.9"),
    "regularizer.l1": (30.0, "end"),
    "regularizer.l2": (30.0, "end"),
    "regularizer.decay": (9.0, "end"),
    "regularizer.clip_norm": (0.01, "end"),
    "regularizer.clip_value": (0.001, "end"),
    "init.value": (0.1, "start end"),
    "init.bound": (0.5, "start end"),
    "init.gain": (0.5, "start end"),
    "activation.slope": (0.7, "end"),
    "activation.alpha": (0.1, "end"),
    "prelu.slope": (0.7, "start end"),
    "norm.eps": (1.0, "end"),
    "norm.momentum": (0.5, "end"),
    "norm.affine": (False, "start end"),
    "norm.elementwise_affine": (False, "start end"),
    "norm.bias": (False, "start end"),
    "norm.eps_mode": ("sigma", "end", "norm.eps=0.5"),
    "loss.head": ("sigmoid", "end"),
    "loss.delta": (0.05, "end"),
    "model.hidden": ([5], "start end"),
    "model.depth": (3, "start end records"),
    "model.width": (8, "start end"),
    "model.heads": (2, "end"),
    "model.norm_position": ("post", "start end", "norm=batchnorm"),
    "model.dropout": (0.5, "end"),
    "rnn.hidden": (5, "start end"),
    "rnn.layers": (2, "start end"),
    "rnn.nonlinearity": ("relu", "end"),
    "rnn.recurrent_init": ("identity", "start end"),
    "rnn.recurrent_gain": (0.5, "start end"),
    "rnn.learn_initial": (True, "start end"),
    "rnn.inputs": ("clamped", "records start end"),
    "rnn.outputs": ("units", "records start end"),
    "rnn.feedback": ("both", "records start end"),
    "rnn.steps": (5, "end", "model.inputs=initial", "model.steps=3", "model.hidden=128"),
    "lstm.hidden": (5, "start end"),
    "lstm.layers": (2, "start end"),
    "lstm.bidirectional": (True, "start end"),
    "lstm.forget_bias": (3.0, "start end"),
    "lstm.recurrent_init": ("identity", "start end"),
    "resnet.depth": (14, "start end records"),
    "resnet.shortcut": ("B", "start end records"),
    "small_cnn.channels": ([5, 6], "start end"),
    "small_cnn.kernel": (5, "start end"),
    "small_cnn.pool": ("avg", "end"),
    "window_mlp.window": (3, "start end"),
    "model.start": ([2.0, 2.0], "start end"),
    "optimizer.lr": (0.05, "end"),
    "optimizer.beta1": (0.5, "end"),
    "optimizer.beta2": (0.5, "end"),
    "optimizer.alpha": (0.5, "end"),
    "optimizer.eps": (0.1, "end"),
    "optimizer.eps_placement": ("inside", "end", "optimizer.eps=0.1"),
    "optimizer.bias_correction": (False, "end"),
    "optimizer.lr_decay": (1.0, "end"),
    "optimizer.initial_accumulator_value": (1.0, "end"),
    "optimizer.momentum": (0.1, "end"),
    # A constant rate may stand on either side of the velocity.
    "optimizer.lr_in_buffer": (False, "end", "schedule=linear"),
    "optimizer.target": ("torch.optim.SGD", "end"),
    "optimizer.weight_decay": (1.0, "end"),
    "optimizer.amsgrad": (True, "end", "optimizer.beta2=0.5"),
    "amsgrad.amsgrad": (False, "end", "optimizer.beta2=0.5"),
    "optimizer.centered": (True, "end"),
    "optimizer.rho": (0.5, "end"),
    "optimizer.momentum_decay": (0.5, "end"),
    "optimizer.beta2_decay": (-0.1, "end"),
    "optimizer.eps1": (1.0, "end"),
    "optimizer.eps2": (1.0, "end"),
    "optimizer.d": (9.0, "end"),
    "optimizer.always_adapt": (False, "end", "optimizer.weight_decay=0"),
    "optimizer.warmup_steps": (5.0, "end"),
    "optimizer.r": (2.0, "end"),
    # Powers of a constant rate weigh all points alike.
    "optimizer.weight_lr_power": (0.0, "end", "optimizer.warmup_steps=5"),
    "optimizer.shampoo_beta": (0.5, "end", "optimizer.precondition_frequency=1"),
    "optimizer.precondition_frequency": (2, "end"),
    "optimizer.max_precond_dim": (0, "end"),
    "optimizer.nesterov": (False, "end"),
    "optimizer.ns_a": (2.0, "end"),
    "optimizer.ns_b": (-4.5, "end"),
    "optimizer.ns_c": (0.5, "end"),
    "optimizer.ns_steps": (1, "end"),
    "optimizer.adjust_lr_fn": ("match_rms_adamw", "end"),
    "optimizer.ns_dtype": ("bfloat16", "end"),
    "optimizer.orthogonalize": (False, "end"),
    "optimizer.adamw_lr_ratio": (9.0, "end"),
    "optimizer.adamw_beta1": (0.5, "end"),
    "optimizer.adamw_beta2": (0.5, "end"),
}
#: What a choice goes with: other overrides, or the task.
PARTNERS = {
    "regularizer": ("optimizer.lr=0.1",),
    "schedule": ("optimizer.lr=0.1",),
    "optimizer": ("optimizer.lr=0.1",),
    "loss": ("task.centers=2",),
    "loss=objective": {"task": "quadratic"},
    "model=perceptron": ("loss=bce", "task.centers=2"),
    "model=point": {"task": "quadratic"},
    **{f"model={name}": ("task.features=16",) for name in ("resnet", "small_cnn")},
    **{
        f"model={name}": {"task": "recall"} for name in ("lstm", "rnn", "transformer", "window_mlp")
    },
}


def choices(group):
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def options(group, choice):
    """Return the options in a choice's file; a global file holds those of other groups too."""
    content = yaml.safe_load((CONFIGS / group / f"{choice}.yaml").read_text())
    return [key for key in content.get(group, content) if key != "name"]


OPTIONS = [
    (group, choice, key)
    for group in ["trainer", "diagnostics", *CHOICE_GROUPS]
    for choice in choices(group)
    for key in options(group, choice)
    if f"{group}.{key}" not in OF_THE_JOB
]


def with_choice(group, choice, *overrides):
    partner = PARTNERS.get(f"{group}={choice}", PARTNERS.get(group, ()))
    if isinstance(partner, dict):
        return configuration(f"{group}={choice}", *overrides, **partner)
    return configuration(f"{group}={choice}", *partner, *overrides)


def has_one_head(case):
    group, choice, key = case
    return (group, key) == ("loss", "head") and len(registry.losses.get(choice).heads) == 1


def changed(case):
    """Return the configuration before and after the option's change, and what it must change."""
    group, choice, key = case
    row = f"{choice}.{key}" if f"{choice}.{key}" in EFFECTS else f"{group}.{key}"
    value, aspects, *beside = EFFECTS[row]
    before, after = (with_choice(group, choice, *beside) for _ in range(2))
    assert before[group][key] != value
    after[group][key] = value
    return before, after, set(aspects.split())


@pytest.mark.parametrize("case", [c for c in OPTIONS if not has_one_head(c)], ids="-".join)
def test_an_option_changes_what_it_should_and_nothing_else(case):
    before, after, aspects = changed(case)
    assert differing(observe(before), observe(after)) == aspects


@pytest.mark.parametrize("case", [c for c in OPTIONS if has_one_head(c)], ids="-".join)
def test_the_head_of_a_loss_with_one_head_is_read_and_refused(case):
    _, after, _ = changed(case)
    after["loss"]["head"] = "identity"
    with pytest.raises(ConfigError, match="cannot have head identity"):
        build(after)


@pytest.mark.parametrize("group", CHOICE_GROUPS)
def test_every_choice_of_a_group_is_another_run(group):
    """But for ``loss=auto``, which stands for the task's own."""
    runs = {c: observe(with_choice(group, c)) for c in choices(group) if c != "auto"}
    assert len(runs) > 1
    same = [(a, b) for a, b in combinations(runs, 2) if not differing(runs[a], runs[b])]
    assert same == []


@pytest.mark.parametrize(
    "engine",
    [
        ["optimizer=minibatch_gd", "trainer.engine=plain"],
        ["optimizer=foreign", "optimizer.target=torch.optim.SGD"],
    ],
    ids=["plain", "foreign"],
)
def test_every_engine_gets_the_schedule_and_the_regularizer(engine):
    both = [
        "schedule=step", "regularizer=l2", "regularizer.l2=30", "regularizer.clip_norm=0.5",
        "optimizer.lr=0.1", "trainer.dtype=float64",
    ]  # fmt: skip
    ours = observe(configuration("optimizer=minibatch_gd", *both))
    assert differing(ours, observe(configuration(*engine, *both))) == {"engine"}


def test_both_engines_get_the_transform():
    all_of_it = [
        "transform.cautious=true", "transform.lookahead_steps=5", "transform.ema=0.9",
        "optimizer=nag", "optimizer.lr=0.1", "trainer.dtype=float64",
    ]  # fmt: skip
    ours = observe(configuration(*all_of_it))
    theirs = observe(configuration(*all_of_it, "trainer.engine=plain"))
    assert differing(ours, theirs) == {"engine"}
