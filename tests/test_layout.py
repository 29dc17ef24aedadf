"""The folder has the names that it should, and the package writes its own layers."""

import ast
import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = {"pyproject.toml", "README.md", "optlab", "configs", "experiments", "tests", "scripts"}
CUSTOMARY = {"LICENSE", "CHANGELOG.md"}

# Of torch.nn, containers, parameters and the identity are used; its layers, functions and losses
# are written here (course notes, row DES-02), and so is what torch keeps of them elsewhere.
USED_OF_TORCH_NN = {
    *{"Identity", "Module", "ModuleDict", "ModuleList", "Parameter", "Sequential"},
    "utils",  # utils.rnn.PackedSequence: sequences of several lengths
}
# `optlab bench` measures optlab against the loop that everybody writes with torch's own layers.
COMPARES_WITH_TORCH = {"optlab/bench.py"}
LAYERS_IN_TORCH = {
    "avg_pool1d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "convolution",
    "dropout",
    "embedding",
    "group_norm",
    "gru",
    "instance_norm",
    "layer_norm",
    "lstm",
    "lstm_cell",
    "max_pool1d",
    "max_pool2d",
    "mkldnn_rnn_layer",
    "native_batch_norm",
    "native_dropout",
    "native_layer_norm",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
}


def top_level_names() -> set[str]:
    """Return what git does not ignore or, without git, what .gitignore lets through."""
    if shutil.which("git"):
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
        if listing:
            return {line.partition("/")[0] for line in listing.splitlines()}
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    names = {path.name for path in ROOT.iterdir()}
    return {name for name in names if not any(fnmatch.fnmatch(name, i) for i in ignored)}


def dotted_names(source: str) -> set[str]:
    """Return the full names of what a module imports and of what it takes from its imports."""
    nodes = list(ast.walk(ast.parse(source)))
    origin: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for imported in node.names:
                top = imported.name.partition(".")[0]
                origin[imported.asname or top] = imported.name if imported.asname else top
        elif isinstance(node, ast.ImportFrom):
            origin |= {i.asname or i.name: f"{node.module}.{i.name}" for i in node.names}
    chains = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    parts = [chain.partition(".") for chain in chains if re.fullmatch(r"[\w.]+", chain)]
    taken = {f"{origin[head]}.{tail}" for head, _, tail in parts if head in origin}
    return taken | set(origin.values())


def borrowed_layers(source: str) -> set[str]:
    """Return the names of layers and functions that a module takes from torch."""
    parts = {name: name.split(".") for name in dotted_names(source)}
    return {
        name
        for name, (top, *rest) in parts.items()
        if top == "torch"
        and rest
        and (
            rest[0] in LAYERS_IN_TORCH or (rest[0] == "nn" and not {*rest[1:2]} <= USED_OF_TORCH_NN)
        )
    }


def test_top_level_has_its_seven_names_and_the_customary_files() -> None:
    visible = {name for name in top_level_names() if not name.startswith(".")}
    assert visible == NAMES | CUSTOMARY


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.nn.LSTM(3, 4)",
        "from torch import nn\nnn.BatchNorm1d(3)",
        "from torch.nn import functional as F",
        "import torch.nn.functional as F",
        "from torch.nn.functional import relu",
        "import torch.nn as layers\nlayers.Linear(3, 4)",
        "import torch\ntorch.batch_norm",
    ],
)
def test_a_borrowed_layer_is_found(source: str) -> None:
    assert borrowed_layers(source)


@pytest.mark.parametrize(
    "source",
    [
        "from torch import nn\nclass Linear(nn.Module): ...",
        "import torch\ntorch.relu(torch.nn.Parameter(x).data)",
        "from optlab.nn import BatchNorm1d\nBatchNorm1d(3)",
        "'a text about nn.LSTM'",
    ],
)
def test_a_layer_of_our_own_is_not(source: str) -> None:
    assert not borrowed_layers(source)


def test_the_package_borrows_no_layer() -> None:
    modules = sorted((ROOT / "optlab").rglob("*.py"))
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in modules}
    assert {name for name, text in texts.items() if borrowed_layers(text)} == COMPARES_WITH_TORCH
