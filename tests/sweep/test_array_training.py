"""What the event files of a sweep's runs hold beside their curves."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.cli import main


def steps(folder):
    """Return the steps of everything that is no scalar, by tag."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [e.step for e in events.Tensors(tag)] for tag in events.Tags()["tensors"]}


@pytest.mark.parametrize("engine", ["native", "single"])
def test_every_run_has_histograms_and_its_model(folder, engine):
    line = ["task=xor", "model.hidden=[4]", "trainer.epochs=5", "logger.console=false"]
    line += ["diagnostics.histograms_every=2", f"sweep.engine={engine}", "sweep.dir=sweep"]
    assert main(["sweep", *line, "activation=relu,tanh", "optimizer=adam,nag"]) == 0
    runs = sorted(path.parent for path in folder.rglob("result.json"))
    assert len(runs) == 4
    for run in runs:
        found = steps(run)
        assert found["weights/output.weight"] == [0, 2, 4]
        assert found["gradients/hidden.0.linear.weight"] == [2, 4]
        assert found["model"] == [0]
        (model,) = EventAccumulator(str(run)).Reload().Tensors("model")
        kind = "Tanh" if "tanh" in run.name else "ReLU"
        assert (
            f"| hidden.0.activation | {kind} | 4 | 0 |" in model.tensor_proto.string_val[0].decode()
        )


def test_a_run_that_tensorboard_is_not_given_has_none(folder):
    line = ["task=xor", "trainer.epochs=2", "logger.console=false", "sweep.tensorboard_runs=1"]
    line += ["diagnostics.histograms_every=1", "sweep.dir=sweep"]
    assert main(["sweep", *line, "seed=0,1,2"]) == 0
    runs = [path.parent for path in folder.rglob("result.json")]
    assert sum(1 for run in runs for _ in run.glob("*tfevents*")) == 1
