"""The README's table of methods against the registries and the configuration tree."""

import re
from pathlib import Path

import pytest

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "README.md").read_text().partition("| choice | method | source |")[2]
ROWS = TABLE.partition("\n\n")[0].splitlines()[2:]


def sections():
    """Return the names in the first column of the table by group."""
    found, group = {}, None
    for row in ROWS:
        first = row.split("|")[1]
        head = re.match(r" \*\*`(\w+)=`\*\* ", first)
        if head:
            group = head.group(1)
            found[group] = set()
        elif group:
            found[group] |= set(re.findall(r"`(\w+)`", first))
    return found


@pytest.mark.parametrize("group", sorted(sections()))
def test_the_table_lists_exactly_the_choices_of_each_group(group):
    choices = {path.stem for path in (ROOT / "configs" / group).glob("*.yaml")} - {"auto"}
    assert sections()[group] == choices


def test_every_group_with_a_registry_has_its_section():
    assert {group.group for group in registry.GROUPS} <= set(sections())
