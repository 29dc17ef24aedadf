"""What is no function of a run's configuration is found and named, and nothing else is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from optlab.cli import main

PLANTED = Path(__file__).parent / "planted.py"
MODEL = "task=xor trainer.engine=functional model=planted"
FOREIGN = "task=xor trainer.batch_size=full optimizer=foreign"

#: Words, the first thing that differs, and the update.
FOUND = {
    "task=shifted": ["data", "val.x", 0],
    f"{MODEL} model.fault=buffer": ["buffer", "scale", 0],
    f"{MODEL} model.fault=numpy": ["evaluation", "loss", 0],
    f"{MODEL} model.fault=python": ["evaluation", "loss", 0],
    f"{MODEL} model.fault=clock": ["evaluation", "loss", 0],
    f"{MODEL} model.fault=counter": ["evaluation", "loss", 0],
    f"{MODEL} model.fault=gradient": ["gradient", "linear.weight", 1],
    f"{FOREIGN} optimizer.target=planted.Restless": [
        "optimizer state",
        "optimizer.param_groups[0].lr",
        1,
    ],
}
HASHED = f"{MODEL} model.fault=hash"

SCRIPT = """
import json, sys
from optlab.sweep.determinism import check_determinism

for line in json.loads(sys.argv[1]):
    (found,) = check_determinism(["plugins=[planted]", *line.split()])
    print(json.dumps([line, found.summary(), found.text()]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is said of each line of words: (summary, text)."""
    place = tmp_path_factory.mktemp("planted")
    shutil.copy(PLANTED, place)
    words = [sys.executable, "-c", SCRIPT, json.dumps([*FOUND, HASHED])]
    done = subprocess.run(words, cwd=place, stdout=subprocess.PIPE, text=True, check=True)
    assert {path.name for path in place.iterdir()} <= {PLANTED.name, "__pycache__"}
    answers = map(json.loads, done.stdout.splitlines())
    return {line: (summary, text) for line, summary, text in answers}


def check(place, *words):
    """Run the command in a folder with the plugin; return (exit code, stdout)."""
    shutil.copy(PLANTED, place)
    line = ["-m", "optlab", "train", "--check-determinism", "plugins=[planted]", *words]
    done = subprocess.run(
        [sys.executable, *line], cwd=place, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("line", FOUND)
def test_what_is_planted_is_named(found, line):
    summary, text = found[line]
    first = summary["first_difference"]
    assert [first["kind"], first["name"], first["update"]] == FOUND[line]
    assert first["where"] == "made again in the same process"
    assert not summary["deterministic"]
    assert text.startswith(f"not deterministic: {first['kind']} {first['name']} differs first, ")


def test_how_much_and_where_is_said(found):
    first = found["task=shifted"][0]["first_difference"]
    assert first["detail"].startswith("by ")
    assert " at most at [" in first["detail"]
    assert first["detail"].endswith(", in 8 of 8 elements")


def test_what_depends_on_the_seed_of_hashes_is_found_in_a_fresh_process(found):
    first = found[HASHED][0]["first_difference"]
    assert (first["name"], first["where"]) == ("loss", "made in a fresh process")


def test_numbers_of_torchs_generator_belong_to_the_run(tmp_path):
    code, said = check(tmp_path, *MODEL.split(), "model.fault=torch")
    assert code == 0
    assert said.startswith("bitwise equal: ")
    assert "1 thread" in said
    assert {path.name for path in tmp_path.iterdir()} <= {PLANTED.name, "__pycache__"}


def test_a_program_is_told_the_same_with_the_machine(tmp_path):
    code, said = check(tmp_path, "task=shifted", "--json", "--quiet")
    assert code == 1
    told = json.loads(said)
    assert told["first_difference"]["name"] == "val.x"
    assert told["versions"]["planted"].startswith("file ")
    assert {"threads", "flags", "platform", "commit", "dirty"} <= told.keys()


def test_several_runs_cannot_be_checked_at_once(folder, capsys):
    assert main(["train", "--check-determinism", "-m", "seed=0,1"]) == 2
    assert "--check-determinism is for one run" in capsys.readouterr().err


def test_a_mistake_is_one_sentence_and_leaves_nothing(folder, capsys):
    assert main(["train", "--check-determinism", "optimizer.beta2=2"]) == 2
    assert "beta2 must be in [0, 1)" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
