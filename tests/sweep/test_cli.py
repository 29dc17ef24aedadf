"""What a user types wrong, and what the command line answers without doing anything."""

import errno
import os
import re
import subprocess
import sys

import pytest

from optlab.cli import main
from optlab.config import ConfigError

MISTAKES = {
    "optimizer=adm": "unknown optimizer 'adm'; known, nearest first: adam,",
    "task=digit": "unknown task 'digit'; known, nearest first: digits,",
    "optimzer=adam": "unknown section 'optimzer'; known, nearest first: optimizer,",
    "experiment=nope": "unknown experiment 'nope'",
    "trainer.epoch=5": "unknown option of trainer 'epoch'; known, nearest first: epochs,",
    "+optimizer.beta3=1": "unknown option of optimizer 'beta3'; known, nearest first: beta1,",
    "trainer.epochs=[": "cannot read the override 'trainer.epochs=['",
    "adam": "cannot read the override 'adam'",
    "optimizer=adam,sgd": "Ambiguous value",
    "optimizer=null": "optimizer must be the name of a choice, got null",
    "optimizer.beta2=1.0": "beta2 must be in [0, 1), got 1.0 (optimizer.beta2)",
    "optimizer.lr=fast": "lr must be a number in [0, inf), got 'fast' (optimizer.lr)",
    "optimizer.lr=nan": "lr must be a number in [0, inf), got nan (optimizer.lr)",
    "trainer.batch_size=0": "batch_size must be in [1, inf), got 0 (trainer.batch_size)",
    "trainer.sampler=shuffled": "sampler must be one of shuffle, replacement, sequential",
    "seed=-1": "seed must be in [0, inf), got -1 (seed)",
    "device=tpu": "unknown device 'tpu'",
    "device=cuda:64": "device 'cuda:64' was asked for, but PyTorch sees",
    "loss=objective": "loss 'objective' does not go with this task",
    "loss=bce": "loss bce does not fit a task with 10 classes",
    "optimizer=sgd norm=batchnorm": "1078 rows in batches of 1 leave a batch of one",
    "model=linear norm=batchnorm": "norm=batchnorm would do nothing: model 'linear'",
    "model=linear activation=tanh": "activation=tanh would do nothing: model 'linear'",
    "model=linear norm.eps=-5": "norm=none has no option 'eps' (batchnorm, layernorm have); its",
    "model=rnn model.forget_bias=3": "model=rnn has no option 'forget_bias' (lstm has); its",
    "model=rnn +model.forget_bias=3": "model=rnn has no option 'forget_bias' (lstm has); its",
    "optimizer=sgd optimizer.rho=0.9": "optimizer=sgd has no option 'rho' (adadelta has); its",
    "loss.delta=3": "loss=auto has no option 'delta' (huber has); its options, nearest first: none",
    "task=quadratic init=zeros": "init=zeros would do nothing: model 'point'",
    "task=quadratic regularizer=l2": "model 'point' has none; use regularizer=none",
    "optimizer=adamw regularizer=decay": "weights would decay twice: adamw has weight_decay=0.01",
    "transform=null": "transform must be the name of a choice, got null",
    "transform=emma": "unknown transform 'emma'; known, nearest first: ema,",
    "transform.ema=1": "ema must be in [0, 1), got 1.0 (transform.ema)",
    "transform.emma=0.9": "unknown option of transform 'emma'; known, nearest first: ema,",
    "transform.lookahead_steps=2.5": "lookahead_steps must be an integer in [0, inf), got 2.5",
    "transform.lookahead_alpha=0.8": "would do nothing: transform.lookahead_steps is off",
    "+optimizer.ema_decay=0.9": "unknown option of optimizer 'ema_decay'",
    "schedule=one_cycle schedule.initial=0": "initial must be in (0, 1], got 0.0",
    "schedule=wsd schedule.shape=square": "shape must be one of linear, sqrt, cosine, got 'square'",
    "task=quadratic +loss.nonsense=3": "unknown option of loss 'nonsense'",
    "lr=3": "did you mean optimizer.lr?",
    "sweep.dir=out": "for one run use hydra.run.dir=FOLDER",
    "plugins=[./x.py]": "cannot import plugin './x.py'",
    "~seed": "seed must be an integer in [0, inf), got None",
    "model.hidden=[0]": "hidden[0] must be in [1, 1048576], got 0 (model.hidden[0])",
    "plugins=[no_such_module]": "cannot import plugin 'no_such_module'",
    "plugins=no_such_module": "plugins must be a list",
    "missing.yaml": "no configuration file 'missing.yaml'",
}


@pytest.mark.parametrize("argument", MISTAKES)
def test_a_mistake_gets_one_sentence_exit_code_2_and_no_folder(folder, capfd, argument):
    assert main(["train", *argument.split()]) == 2
    out, err = capfd.readouterr()
    assert MISTAKES[argument] in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err
    assert [p for p in folder.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimizer=foreign", "optimizer.target=torch.optim.AdamX"], "nearest: Adam"),
        (["optimizer=foreign", "optimizer.target=torch.nn.Linear"], "torch.optim.Optimizer class"),
        (["optimizer=foreign", "+optimizer.lrr=1"], "unexpected keyword argument 'lrr'"),
        (["optimizer=foreign", "trainer.engine=functional"], "trainer.engine=auto"),
        (["optimizer=foreign", "transform=ema"], "takes no transform; use transform=none"),
        (["loss=mse", "loss.head=softmax"], "loss mse cannot have head softmax"),
        (["--config-name", "nope"], "no configuration called 'nope'"),
        (["--config-dir", "nope"], "not found"),
    ],
)
def test_mistakes_of_several_words(folder, capfd, arguments, message):
    assert main(["train", *arguments]) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trane"], "unknown command 'trane'; known, nearest first: train,"),
        (["report"], "give the folder of a run or of a sweep"),
        (["report", "nowhere"], "no folder 'nowhere'"),
        (["board", "nowhere"], "no folder 'nowhere'"),
        (["list", "optimisers"], "unknown group 'optimisers'; known, nearest first: optimizers"),
    ],
)
def test_wrong_commands_and_folders(folder, capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_full_errors_are_shown_on_request(folder, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError, match="beta2"):
        main(["train", "optimizer.beta2=2"])


def test_help_names_the_commands_and_imports_no_torch():
    code = (
        "import sys; from optlab.cli import main; main(['--help']); "
        "sys.exit('torch' in sys.modules or 'hydra' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "optlab sweep" in done.stdout


def test_hydras_help_shows_the_groups(folder, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--help"])
    assert exit_.value.code == 0
    assert re.search("^optimizer: .*adagrad", capsys.readouterr().out, re.MULTILINE)


def test_a_system_error_is_a_sentence_too(folder, monkeypatch, capfd):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("optlab.sweep.run_folder.write_atomic", full)
    monkeypatch.setattr("optlab.sweep.job.write_result", lambda *_: None)
    assert main(["train", "task=xor", "trainer.epochs=1"]) == 1
    err = capfd.readouterr().err
    assert "No space left on device" in err
    assert "free some space and start the same line again" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error():
    line = f"set -o pipefail; {sys.executable} -m optlab list | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert "(default" in done.stdout
    assert done.stderr == ""


def test_a_terminal_without_unicode_still_gets_an_answer():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "optlab", "list", "tasks"]
    subprocess.run(command, capture_output=True, check=True, env=environment)
