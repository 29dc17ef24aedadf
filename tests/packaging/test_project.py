"""pyproject.toml, the constraints and the installed configuration tree agree with the sources."""

import ast
import importlib.metadata
import importlib.resources
import re
import sys
import tomllib
from pathlib import Path

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import optlab

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
EXTRAS = [
    Requirement(text)
    for texts in PYPROJECT["project"]["optional-dependencies"].values()
    for text in texts
]
CONSTRAINTS = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
PINNED = [line for line in CONSTRAINTS if not line.startswith("#")]

# Needed without an import: the embedded digits are a file of this one.
NOT_IMPORTED = {"scikit-learn"}


def distributions_imported_by(folder: Path) -> set[str]:
    """Return the distributions that the modules under ``folder`` import, ours left out."""
    imported = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
    outside = imported - set(sys.stdlib_module_names) - {"optlab", "tests"}
    known = importlib.metadata.packages_distributions()
    return {canonicalize_name(known[module][0]) for module in outside}


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def test_packages_are_the_folders_with_modules_and_the_configuration_tree() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "optlab").rglob("*.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"optlab.configs"}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == expected


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "optlab").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_installed_version_is_the_one_in_the_package() -> None:
    assert importlib.metadata.version("optlab") == optlab.__version__


def test_the_package_imports_what_it_declares() -> None:
    assert distributions_imported_by(ROOT / "optlab") | NOT_IMPORTED == names(RUNTIME)


def test_the_tests_import_only_what_is_declared() -> None:
    assert distributions_imported_by(ROOT / "tests") <= names(RUNTIME + EXTRAS)


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    assert not [line for line in PINNED if not re.fullmatch(r"[\w.-]+==\d[\w.]*", line)]


@pytest.mark.parametrize("requirement", RUNTIME + EXTRAS, ids=str)
def test_constraints_hold_a_fitting_version_of(requirement: Requirement) -> None:
    lines = [Requirement(line) for line in [*PINNED, f"optlab=={optlab.__version__}"]]
    pins = {canonicalize_name(pin.name): pin.specifier for pin in lines}
    (version,) = [pin.version for pin in pins[canonicalize_name(requirement.name)]]
    assert requirement.specifier.contains(version)


def test_configuration_tree_is_installed_whole() -> None:
    installed = importlib.resources.files("optlab.configs")
    for path in CONFIGS.rglob("*.yaml"):
        relative = path.relative_to(CONFIGS)
        assert installed.joinpath(*relative.parts).read_text() == path.read_text()


def test_hydra_finds_every_choice_of_every_group() -> None:
    groups = [path for path in CONFIGS.iterdir() if any(path.glob("*.yaml"))]
    assert groups
    with initialize_config_module("optlab.configs", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        found = {group.name: set(loader.get_group_options(group.name)) for group in groups}
    assert found == {group.name: {path.stem for path in group.glob("*.yaml")} for group in groups}
