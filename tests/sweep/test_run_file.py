"""A configuration file to start from holds values; whatever else it holds is refused."""

import pytest

from optlab.cli import main

REFUSED = {
    "a tag that makes objects": (
        b"a: !!python/object/apply:os.mkdir [sprung]\n",
        "is not valid YAML: could not determine a constructor for the tag",
    ),
    "a reference": (b"seed: ${oc.env:HOME}\n", "holds '${oc.env:HOME}', which refers to something"),
    "a reference in a key": (b"'${x}': 1\n", "which refers to something else"),
    "a sweep": (b"sweep: {dir: there}\n", "has a section 'sweep', which is no part of a run"),
    "aliases": (b"a: &a [1]\nb: *a\n", "it has an alias, *a"),
    "depth": (b"a: " + b"[" * 100_000, "more than 40 sections lie in one another"),
    "a list": (b"- 1\n", "holds no configuration, but a list"),
    "a number": (b"1\n", "holds no configuration (AssertionError"),
    "another value than its tag": (b"a: !!int x\n", "holds no configuration (ValueError"),
    "no text": (b"\xff\xfe", "is no text in UTF-8"),
    "too much": (b"#" * 2**20 + b"\n", "it has 1,048,577 bytes, and 1,048,576 are the most"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_holds_more_than_values_is_refused_in_a_sentence(kind, folder, capfd):
    content, reason = REFUSED[kind]
    (folder / "config.yaml").write_bytes(content)
    assert main(["train", "config.yaml"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("optlab train: ")
    assert reason in line
    assert not (folder / "sprung").exists()
    assert not (folder / "runs").exists()


def test_the_file_of_a_run_needs_nothing_that_lies_beside_it(train, folder):
    first = train("first")
    text = (first / "config.yaml").read_text()
    (folder / "alone").mkdir()
    (folder / "alone" / "any name.yml").write_text(text)
    again = train("again", str(folder / "alone" / "any name.yml"), tiny=())
    assert (again / "config.yaml").read_text() == text
