"""The runs by which verdicts are measured: faults planted on purpose, and sound runs.

What a plot plants is known from how it is made and not from what a rule says: too high a rate is
thirty times a good one, a saturated layer starts with weights of [-3, 3]. Sound plots are ordinary
choices, and a run of theirs counts as sound when it ends where such runs should, by a score that no
rule reads.
"""

from typing import NamedTuple


class Plot(NamedTuple):
    """Runs that have the same fault, or none.

    Attributes:
        name: Its sweep's folder.
        planted: The verdict that its runs must get; empty for sound runs.
        line: Overrides of `optlab sweep`, without seeds.
        sound: Of sound runs the least validation accuracy, or minus the largest validation loss.
    """

    name: str
    planted: str
    line: str
    sound: float = 0.0


def hidden(depth: int, width: int = 64) -> str:
    """Return the override for so many layers."""
    return f"model.hidden=[{','.join([str(width)] * depth)}]"


ONE_TWO = "model.hidden=[64],[64,64]"
THREE = "optimizer=minibatch_gd,momentum,adam"
LSTM = "task=sequential_digits model=lstm model.hidden=32 optimizer=adam optimizer.lr=3e-3"
COUNTED = "diagnostics.dead_units=true"

# fmt: off
PLANTED = tuple(Plot(name, planted, line) for name, planted, line in (
    ("sigmoid-8", "vanishing_gradient", f"{THREE} {hidden(8)} activation=sigmoid "
        "init=xavier_uniform,he_normal"),
    ("sigmoid-12", "vanishing_gradient", f"optimizer=adam,rmsprop {hidden(12)} "
        "activation=sigmoid init=xavier_uniform"),
    ("small-8", "vanishing_gradient", f"{THREE} optimizer.lr=1e-3 {hidden(8)} "
        "activation=tanh,relu init=uniform_small"),
    ("large-8", "exploding_gradient", f"{THREE} optimizer.lr=1e-4 {hidden(8)} "
        "activation=relu,elu init=uniform_large"),
    ("normal-8", "exploding_gradient", f"optimizer=adam,rmsprop {hidden(8)} "
        "activation=relu,leaky_relu init=standard_normal"),
    ("clipped", "exploding_gradient", "optimizer=minibatch_gd,momentum optimizer.lr=0.1 "
        f"regularizer.clip_norm=0.01 {ONE_TWO}"),
    ("rate-kills", "dead_units", f"optimizer=adam,rmsprop optimizer.lr=0.1,0.3 {hidden(2)} "
        f"{COUNTED}"),
    ("rate-kills-uncounted", "dead_units", f"optimizer=adam,rmsprop optimizer.lr=0.3,1 {hidden(2)} "
        "diagnostics.dead_units=false"),
    ("negative", "dead_units", f"{THREE} task.standardize=false init=constant init.value=-0.05 "
        "diagnostics.dead_units=true,false"),
    ("large-flat", "saturated_activation", f"{THREE} optimizer.lr=1e-3 model.hidden=[64],[64,64] "
        "activation=tanh,sigmoid init=uniform_large"),
    ("zeros", "symmetric_units", f"{THREE} model.hidden=[64],[32,32] activation=tanh,sigmoid "
        "init=zeros"),
    ("constant", "symmetric_units", f"{THREE} model.hidden=[64],[32,32] activation=tanh,relu "
        "init=constant init.value=0.1"),
    ("flat", "loss_plateau", f"{THREE} {hidden(12)} activation=sigmoid init=xavier_uniform"),
    ("flat-zeros", "loss_plateau", f"{THREE} {ONE_TWO} activation=relu init=zeros"),
    ("rate-high", "lr_too_high", "optimizer=adam,rmsprop,nadam optimizer.lr=0.3,1 "
        f"{ONE_TWO} activation=relu,tanh"),
    ("rate-high-descent", "lr_too_high", "optimizer=minibatch_gd,momentum,nag optimizer.lr=10,30 "
        f"{hidden(2)} activation=relu,tanh"),
    ("rate-high-regression", "lr_too_high", "task=line optimizer=minibatch_gd,momentum "
        "optimizer.lr=1,3 model.hidden=[32]"),
    ("rate-low", "lr_too_low", f"optimizer=adam,rmsprop optimizer.lr=1e-6,1e-5 {ONE_TWO}"),
    ("rate-low-descent", "lr_too_low", "optimizer=minibatch_gd,momentum,nag "
        f"optimizer.lr=1e-5,1e-4 {ONE_TWO}"),
    ("noisy", "overfitting", "task=digits_noisy optimizer=adam,momentum optimizer.lr=3e-3,1e-2 "
        "model.hidden=[128],[128,128] trainer.epochs=60"),
    ("few", "overfitting", "task.train_rows=60 task.label_noise=0.1 optimizer=adam,momentum "
        "optimizer.lr=1e-2 model.hidden=[128,128] trainer.epochs=150"),
    ("features", "overfitting", "task=dense_features task.rows=300 optimizer=adam,rmsprop "
        f"optimizer.lr=3e-3 {ONE_TWO} trainer.epochs=100"),
    ("tiny", "underfitting", "optimizer=adam,rmsprop optimizer.lr=1e-2 model.hidden=[1] "
        "activation=relu,tanh trainer.epochs=40"),
    ("straight", "underfitting", "task=spirals model=linear optimizer=adam,momentum "
        "optimizer.lr=1e-2 trainer.epochs=40"),
    ("straight-xor", "underfitting", "task=xor model=linear optimizer=adam,momentum "
        "optimizer.lr=1e-2 trainer.batch_size=full trainer.epochs=500"),
    ("penalty", "underfitting", "optimizer=adam,minibatch_gd optimizer.lr=1e-2 "
        "regularizer.l2=1e3,3e3 trainer.epochs=40"),
    ("gates", "saturated_gate", f"{LSTM} model.forget_bias=12,-12,8,-8"),
    ("gates-weights", "saturated_gate", f"{LSTM} init=uniform_large model.recurrent_init=same"),
    ("statistics", "drifting_statistics", "task.standardize=false optimizer=adam,momentum "
        f"norm=batchnorm norm.momentum=1e-4,3e-4 {ONE_TWO}"),
    ("not-a-number", "nonfinite", "optimizer=minibatch_gd,momentum task=line "
        f"optimizer.lr=1e3,1e4 {ONE_TWO}"),
))

SOUND = tuple(Plot(name, "", line, sound) for name, sound, line in (
    ("digits", 0.9, "optimizer=minibatch_gd,momentum,nag,adagrad optimizer.lr=0.03 "
        "model.hidden=[64] activation=relu,tanh"),
    ("digits-adaptive", 0.9, "optimizer=adam,adamw,rmsprop,nadam,radam,lamb optimizer.lr=2e-3 "
        "model.hidden=[64,32] activation=relu,tanh,elu"),
    ("digits-signs", 0.9, f"optimizer=lion optimizer.lr=1e-4,3e-4 {ONE_TWO}"),
    ("digits-others", 0.9, f"optimizer=muon,soap,adamax optimizer.lr=1e-3 {hidden(2)}"),
    ("digits-inits", 0.9, "optimizer=adam init=he_normal,he_uniform,xavier_normal,xavier_uniform,"
        f"orthogonal,uniform_fan_in {hidden(2)} activation=relu,tanh"),
    ("digits-norms", 0.9, "optimizer=adam,momentum optimizer.lr=3e-3 norm=batchnorm,layernorm "
        f"model.hidden=[64],[64,64,64] {COUNTED}"),
    ("digits-activations", 0.9, "optimizer=adam activation=leaky_relu,prelu,selu,sigmoid "
        "model.hidden=[64] trainer.epochs=30"),
    ("digits-deep", 0.9, f"optimizer=adam,momentum optimizer.lr=1e-3 {hidden(8)} "
        "activation=relu,tanh norm=none,batchnorm"),
    ("digits-regularized", 0.9, "optimizer=adam regularizer.l2=0.1,1 model.dropout=0.1,0.3 "
        f"model.hidden=[64] {COUNTED}"),
    ("digits-clipped", 0.9, "optimizer=momentum optimizer.lr=0.03 regularizer=clip "
        "regularizer.clip_norm=1,5 model.hidden=[64]"),
    ("digits-scheduled", 0.9, "optimizer=adam optimizer.lr=3e-3 schedule.warmup=0.1 "
        "schedule=cosine,linear,one_cycle,wsd model.hidden=[64]"),
    ("digits-one-row", 0.9, "optimizer=sgd optimizer.lr=1e-3,3e-3,1e-2 model.hidden=[64] "
        "trainer.log_every=10,50 trainer.epochs=8"),
    ("digits-four-rows", 0.9, "optimizer=adam,momentum optimizer.lr=1e-3 model.hidden=[64] "
        "trainer.batch_size=4 trainer.epochs=6"),
    ("digits-full-batch", 0.9, "optimizer=batch_gd optimizer.lr=0.3 model.hidden=[64] "
        "activation=relu,tanh trainer.epochs=300"),
    ("digits-stopped", 0.9, "optimizer=adam optimizer.lr=3e-3 model.hidden=[64] "
        "trainer.patience=3 trainer.epochs=40"),
    ("digits-linear", 0.9, "model=linear optimizer=adam,momentum optimizer.lr=1e-2"),
    ("convolutions", 0.9, "model=small_cnn model.channels=[8,16] optimizer=adam,momentum "
        "optimizer.lr=3e-3 trainer.epochs=8"),
    ("blobs", 0.9, "task=blobs optimizer=adam,momentum optimizer.lr=1e-2 model.hidden=[32] "
        "trainer.epochs=15"),
    ("spirals", 0.9, f"task=spirals optimizer=adam optimizer.lr=1e-2 {hidden(2)} "
        "activation=relu,tanh trainer.epochs=100"),
    ("line", -0.1, "task=line optimizer=adam,momentum optimizer.lr=1e-2 model.hidden=[32] "
        "trainer.epochs=30"),
    ("lstm", 0.8, f"{LSTM} trainer.epochs=12"),
    ("rnn", 0.8, "task=sequential_digits model=rnn model.hidden=32 optimizer=adam,rmsprop "
        "optimizer.lr=2e-3 trainer.epochs=15"),
    ("echo", 0.8, "task=echo model=lstm,rnn model.hidden=32 optimizer=adam optimizer.lr=1e-2 "
        "trainer.epochs=15"),
))
# fmt: on
