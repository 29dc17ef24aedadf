"""The runner of code blocks, on a page made for it."""

import socket
from pathlib import Path

import pytest

from tests.docs.blocks import SMALL, Block, BlockError, blocks_of, prepare, run_block

PAGE = """\
# A page

<!-- file: parts/answer.py -->
```python
ANSWER = 42
```

Text with `inline code`, and a session:

```bash
mkdir out   # used by the next block
PYTHONPATH=parts python -c \\
    'import answer; print(answer.ANSWER)' > out/answer
```
```bash
test "$(cat out/answer)" = 42
```
```yaml
a: [1, 2]
```
"""


def bash(code: str) -> Block:
    return Block("bash", code + "\n", line=1)


def test_finds_every_block_with_its_language_line_and_file() -> None:
    found = [(block.language, block.line, block.file) for block in blocks_of(PAGE)]
    assert found == [
        ("python", 5, "parts/answer.py"),
        ("bash", 11, None),
        ("bash", 16, None),
        ("yaml", 19, None),
    ]


def test_the_comment_of_one_block_does_not_name_the_next() -> None:
    assert [block.file for block in blocks_of(PAGE)].count(None) == 3


def test_keeps_the_text_as_written() -> None:
    assert blocks_of(PAGE)[3].code == "a: [1, 2]\n"


def test_runs_a_page_from_top_to_bottom(tmp_path: Path) -> None:
    blocks = blocks_of(PAGE)
    prepare(tmp_path, blocks)
    for block in blocks:
        run_block(block, tmp_path)
    assert (tmp_path / "out" / "answer").read_text() == "42\n"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (bash("echo before; false; echo after"), r"exit code 1 after printing:\nbefore\n$"),
        (bash("false | cat"), "exit code 1"),
        (bash("no-such-command"), "no-such-command"),
        (bash("bash scripts/test.sh"), "scripts/test.sh"),
        (Block("python", "1 / 0", 1), "ZeroDivisionError"),
        (Block("python", "import warnings; warnings.warn('old')", 1), "UserWarning: old"),
        (Block("yaml", "a: [", 1), "expected the node content"),
        (Block("fortran", "END", 1), "no way to run a block of language 'fortran'"),
        (bash("tensorboard --no-such-option"), "no address, but:\n.*usage"),
    ],
)
def test_a_block_that_fails_is_an_error_with_its_output(
    block: Block, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BlockError, match=rf"(?s){message}"):
        run_block(block, tmp_path)


def test_the_test_suite_is_parsed_and_not_started(tmp_path: Path) -> None:
    prepare(tmp_path, [])
    run_block(bash("bash scripts/test.sh   # minutes"), tmp_path)


def test_a_server_is_asked_for_its_page_and_stopped(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        run_block(bash(f"tensorboard --logdir . --port {port}   # until Ctrl-C"), tmp_path)


def test_commands_around_a_stand_in_run_too(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "demo.sh").write_text('echo "$@" > arguments')
    run_block(
        bash("touch before\nbash scripts/demo.sh device=cpu  # a sweep\ntouch after"), tmp_path
    )
    assert (tmp_path / "arguments").read_text() == f"device=cpu {SMALL}\n"
    assert {"before", "after"} <= {path.name for path in tmp_path.iterdir()}
