"""scripts/demo.sh with a stand-in for optlab: what it starts, and what it says at the end."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT


@pytest.fixture
def demo(tmp_path: Path):
    """Run the script without an active environment; return the command and the last lines."""
    optlab = tmp_path / "optlab"
    optlab.write_text('#!/bin/sh\necho "$@"\n')
    optlab.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")}

    def run(*arguments: str) -> tuple[list[str], list[str]]:
        done = subprocess.run(
            ["bash", ROOT / "scripts" / "demo.sh", *arguments],
            env=kept | {"OPTLAB_PYTHON": str(tmp_path / "python")},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split(), done.stderr.splitlines()

    return run


def test_the_demo_sweeps_into_its_folder_with_the_overrides_last(demo) -> None:
    words, _ = demo("trainer.epochs=1")
    assert words[0] == "sweep"
    assert words[-2:] == ["sweep.dir=runs/demo", "trainer.epochs=1"]


def test_activation_is_named_before_the_commands_that_need_it(demo) -> None:
    _, said = demo("trainer.epochs=1", "sweep.dir=runs/quick")
    wanted = (
        "activate",
        "one folder each",
        "runs/quick/metrics",
        "optlab board 'runs/quick'",
        "optlab report 'runs/quick'",
    )
    assert [part in line for part, line in zip(wanted, said, strict=True)] == [True] * 5
