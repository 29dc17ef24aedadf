"""What could make code of a file that is read is called nowhere, or where it is guarded."""

import ast

import pytest

from tests.test_layout import ROOT, dotted_names

#: What turns the content of a file, or a text, into code.
UNSAFE = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.Loader", "yaml.CLoader", "yaml.FullLoader"),
    *("yaml.UnsafeLoader", "yaml.unsafe_load_all", "yaml.full_load_all", "torch.hub.load"),
    *("hydra.utils.instantiate", "hydra.utils.call", "hydra.utils.get_class", "runpy.run_path"),
    *("importlib.import_module", "importlib.util.spec_from_file_location", "torch.jit.load"),
    *("pydoc.locate", "logging.config.dictConfig", "numpy.fromregex"),
}
UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "shelve", "jsonpickle"}
UNSAFE_BUILTINS = {"eval", "exec", "compile", "__import__"}

#: Where one of them stands, and what keeps a file from getting there.
GUARDED = {
    ("optlab/tasks/image_files.py", "pickle.Unpickler"),  # a checksum, and names that are admitted
    ("optlab/plugins.py", "importlib.import_module"),  # typed: optlab.sweep.consent
    ("optlab/optim/foreign.py", "importlib.import_module"),  # typed: optlab.sweep.consent
    ("optlab/manual.py", "importlib.import_module"),  # the module of a class that is imported
}


def unsafe(source: str) -> set[str]:
    """Return what a module uses that can make code of data."""
    names = dotted_names(source)
    found = names & UNSAFE
    found |= {name for name in names if name.partition(".")[0] in UNSAFE_MODULES}
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
        if name in UNSAFE_BUILTINS:
            found.add(name)
        if name == "torch.load" and keywords.get("weights_only") != "True":
            found.add(name)
        if keywords.get("allow_pickle", "False") != "False":
            found.add(f"{name} with pickles")
    return found


def test_nothing_that_is_read_becomes_code_but_where_it_is_guarded() -> None:
    files = sorted((ROOT / "optlab").rglob("*.py"))
    found = {(str(p.relative_to(ROOT)), name) for p in files for name in unsafe(p.read_text())}
    assert found == GUARDED


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import pickle as p\np.loads(b'')",
        "from yaml import unsafe_load",
        "import yaml\nyaml.load('', yaml.Loader)",
        "from hydra.utils import instantiate",
        "import joblib",
        "eval('1')",
    ],
)
def test_an_unsafe_call_is_found(source: str) -> None:
    assert unsafe(source)


def test_a_safe_call_is_not_found() -> None:
    assert not unsafe("import torch\ntorch.load('x', weights_only=True)\nmodel.eval()")
