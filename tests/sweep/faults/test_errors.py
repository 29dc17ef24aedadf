"""What a run's own code raises ends this run alone, and the end says which it was and why."""

import pytest

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.faults.names import MENDED, RATES
from tests.sweep.faults.sweeps import MODEL, STACK, causes, states, swept

FAILING = {
    "error": "ValueError: no such thing (faulty_plugin.py, line",
    "call_sys_exit": "SystemExit: the run's own code called sys.exit(3) (faulty_plugin.py, line",
    "unsayable": "Unsayable: it cannot be put into words (RuntimeError) (faulty_plugin.py, line",
    "unwritable": "ValueError: a file called \\udcff (faulty_plugin.py, line",
}


def refuses_none_but(failing, folder):
    found = states(folder)
    return {n: s for n, s in found.items() if s != "done"} == dict.fromkeys(failing, "failed")


@pytest.mark.parametrize("when", ["in training", "at once"])
def test_whatever_one_run_raises_the_others_finish(plugin, folder, capsys, monkeypatch, when):
    line = swept("s", *MODEL, f"model.fault={','.join(['none', *FAILING, 'last'])}")
    line += ["model.at_once=true"] if when == "at once" else []
    assert main(line) == 1
    said = capsys.readouterr().err
    assert refuses_none_but([f"fault={name}" for name in FAILING], folder / "s")
    found = causes(folder / "s")
    for name, cause in FAILING.items():
        assert found[f"fault={name}"].startswith(cause)
        assert f"  failed: fault={name}: {cause}" in said
    untouched = read_result(folder / "s" / "fault=none")
    monkeypatch.setenv(MENDED, "yes")
    assert main(line) == 0
    assert "2 of 6 runs are done already" in capsys.readouterr().err
    assert set(states(folder / "s").values()) == {"done"}
    assert read_result(folder / "s" / "fault=none") == untouched


def test_a_run_that_ends_a_stack_is_found_by_halving(plugin, folder, capsys):
    rates = [0.1, 0.2, RATES["call_sys_exit"], 0.3, RATES["unwritable"], 0.4]
    assert main(swept("s", *STACK, f"optimizer.lr={','.join(map(str, rates))}")) == 1
    assert refuses_none_but(["lr=2.0", "lr=3.0"], folder / "s")
    said = capsys.readouterr().err
    assert "6 runs failed together (SystemExit: the run's own code called sys.exit(3)" in said
    assert "a file called \\udcff" in causes(folder / "s")["lr=3.0"]


def test_with_hydras_own_launcher_so_do_the_others(plugin, folder, capsys):
    words = [word for word in MODEL if word != "sweep.engine=single"]
    line = ["train", "-m", *swept("s", *words, "model.fault=call_sys_exit,none")[1:]]
    assert main(line) == 1
    assert list(causes(folder / "s")) == ["fault=call_sys_exit"]
    assert "  failed: fault=call_sys_exit: SystemExit" in capsys.readouterr().err


def test_a_run_alone_that_calls_sys_exit_has_failed(plugin, folder):
    words = [word for word in MODEL if word != "sweep.engine=single"]
    line = swept("s", *words, "model.fault=call_sys_exit")[1:]
    with pytest.raises(SystemExit) as left:
        main(["train", *(w for w in line if not w.startswith("sweep.")), "hydra.run.dir=alone"])
    assert left.value.code == 1
    assert read_result(folder / "alone").status == "failed"


def test_a_folder_that_cannot_be_made_fails_its_run_alone(plugin, folder, capsys):
    (folder / "s").mkdir()
    (folder / "s" / "lr=0.2").write_text("a file stands where the run's folder would")
    assert main(swept("s", *STACK, "optimizer.lr=0.1,0.2,0.3")) == 1
    assert states(folder / "s") == {"lr=0.1": "done", "lr=0.2": "failed", "lr=0.3": "done"}
    assert "lr=0.2: failed: FileExistsError: " in capsys.readouterr().err
    (folder / "s" / "lr=0.2").unlink()
    assert main(swept("s", *STACK, "optimizer.lr=0.1,0.2,0.3")) == 0
