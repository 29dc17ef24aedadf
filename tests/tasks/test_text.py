import math
import sys
import zlib
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import pytest
import torch

from optlab.config import ConfigError
from optlab.files import digest_of
from optlab.tasks.text import LARGEST, Alphabet, Characters

SENTENCES = "".join(f"{i} times {i} is {i * i}; " for i in range(200))


@pytest.fixture
def file_of(tmp_path):
    """Return a function that writes a file and gives its path."""

    def write(content: str | bytes) -> str:
        path = tmp_path / "text.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def test_an_alphabet_numbers_characters_in_order_and_unknown_ones_0():
    alphabet = Alphabet.of("banana\U0001f600")
    assert len(alphabet) == 5
    assert alphabet.encode("abn\U0001f600z ").tolist() == [1, 2, 3, 4, 0, 0]
    assert alphabet.decode(alphabet.encode("nab?")) == "nab\N{REPLACEMENT CHARACTER}"


def test_a_window_is_text_and_its_target_the_same_text_one_character_on(file_of):
    task = Characters(path=file_of(SENTENCES), length=10, max_rows=None)
    data, alphabet = task.load(), task.alphabet()
    for split in (data.train, data.val, data.test):
        for x, y in zip(split.x, split.y, strict=True):
            assert torch.equal(x[1:], y[:-1])
            if (x > 0).all() and y[-1] > 0:
                assert alphabet.decode(torch.cat([x, y[-1:]])) in SENTENCES


def test_all_windows_together_are_the_text_in_order(file_of):
    task = Characters(path=file_of(SENTENCES), length=10, max_rows=None)
    data, alphabet = task.load(), task.alphabet()
    cut = [0, round(0.6 * len(SENTENCES)), round(0.8 * len(SENTENCES))]
    for start, split in zip(cut, (data.train, data.val, data.test), strict=True):
        part = SENTENCES[start : start + split.x.numel()]
        assert torch.equal(split.x.flatten(), alphabet.encode(part))


def test_the_vocabulary_is_that_of_the_training_part_and_one_unknown(file_of):
    data = Characters(path=file_of("ab" * 300 + "a!" * 100 + "a?" * 100), length=8).load()
    assert (data.vocabulary, data.num_classes, data.target_steps) == (3, 3, 8)
    assert data.train.x.unique().tolist() == [1, 2]
    assert data.test.x.unique().tolist() == [0, 1]
    assert data.notes["unknown_fraction"] == pytest.approx(0.5, abs=1 / 8)


def test_no_more_windows_than_asked_for_and_each_once(file_of):
    path = file_of(SENTENCES)
    kept = Characters(path=path, length=10, max_rows=50).load()
    counts = [len(split) for split in (kept.train, kept.val, kept.test)]
    assert sum(counts) <= 50
    assert all(n - 1 <= count <= n for n, count in zip((30, 10, 10), counts, strict=True))
    every = Characters(path=path, length=10, max_rows=None).load().train.x.tolist()
    places = [every.index(row) for row in kept.train.x.tolist()]
    assert places == sorted(set(places))


@pytest.mark.parametrize("characters", [165, 170, 250, 700])
@pytest.mark.parametrize("max_rows", [5, 6, 9, 20, None])
def test_every_split_has_a_window_within_the_limit(file_of, characters, max_rows):
    data = Characters(path=file_of(SENTENCES[:characters]), max_rows=max_rows).load()
    counts = [len(split) for split in (data.train, data.val, data.test)]
    assert min(counts) >= 1
    assert sum(counts) <= (max_rows or characters // 32)


def test_unigram_bits_are_those_of_counted_characters(file_of):
    path = file_of(SENTENCES)
    data = Characters(path=path, length=10).load()
    counts = Counter(data.train.y.flatten().tolist())
    total = data.train.y.numel() + data.vocabulary
    tested = data.test.y.flatten().tolist()
    bits = -sum(math.log2((counts[c] + 1) / total) for c in tested) / len(tested)
    assert data.notes["unigram_bits_per_character"] == pytest.approx(bits, rel=1e-12)
    assert bits < math.log2(data.vocabulary), "frequencies say something"


def test_lower_case_leaves_fewer_symbols(file_of):
    path = file_of("Aa" * 200)
    assert Characters(path=path, length=8).load().vocabulary == 3
    data = Characters(path=path, length=8, lowercase=True).load()
    assert data.vocabulary == 2
    assert data.notes["unigram_bits_per_character"] < 0.01


def test_without_a_path_the_text_is_the_help_of_python():
    task = Characters()
    data = task.load()
    text = "\n".join(topics[name] for name in sorted(topics))
    assert data.notes["text_characters"] == len(text) > 100_000
    assert data.notes["text_crc32"] == zlib.crc32(text.encode())
    assert task.alphabet().decode(data.train.x[0]) in text


def test_a_python_without_its_help_asks_for_a_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ConfigError, match=r"without its help.*task\.path=FILE"):
        Characters().load()


def test_a_byte_order_mark_and_the_kind_of_line_ends_do_not_matter(file_of):
    plain = Characters(path=file_of("one\ntwo\n" * 50), length=8).load()
    marked = Characters(path=file_of(b"\xef\xbb\xbf" + b"one\r\ntwo\r\n" * 50), length=8).load()
    assert torch.equal(plain.train.x, marked.train.x)
    assert plain.notes == marked.notes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xff\xfe\x00\x01" * 100, "can't decode"),
        (b"text\x00" * 100, "it holds NUL"),
    ],
    ids=["empty", "not UTF-8", "NUL"],
)
def test_a_file_that_is_no_text_is_one_sentence(file_of, content, reason):
    with pytest.raises(ConfigError, match=rf"{reason}.*\(task\.path\)") as caught:
        Characters(path=file_of(content)).load()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_and_a_folder_are_said_so(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.*No such file"):
        Characters(path=str(tmp_path / "nowhere")).load()
    with pytest.raises(ConfigError, match="it is a folder"):
        Characters(path=str(tmp_path)).load()


def test_a_text_too_large_for_memory_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)  # takes no room on the disk
    with pytest.raises(ConfigError, match=r"huge\.txt': it has 268,435,457 bytes, and 268,435,456"):
        Characters(path=str(path)).load()


def test_a_file_that_disappears_after_it_was_found_is_a_sentence(file_of, monkeypatch):
    def gone(path: Path) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    path = file_of(SENTENCES)
    monkeypatch.setattr(Path, "read_bytes", gone)
    with pytest.raises(ConfigError, match=r"text\.txt': No such file or directory"):
        Characters(path=path).load()


def test_another_text_than_the_one_that_was_meant_is_refused(file_of):
    path = file_of(SENTENCES)
    digest = digest_of(SENTENCES.encode())
    assert len(Characters(path=path, digest=digest, length=10).load().train) > 0
    file_of(SENTENCES + "!")
    with pytest.raises(
        ConfigError, match=rf"not {digest} \(task\.digest\); restore it, or take it"
    ):
        Characters(path=path, digest=digest, length=10).load()


def test_a_text_shorter_than_a_window_in_each_split_is_refused(file_of, monkeypatch):
    with pytest.raises(ConfigError, match=r"has 160 characters.*length=32 need about 165"):
        Characters(path=file_of("a" * 160)).load()
    assert len(Characters(path=file_of("a" * 165)).load().test) == 1
    monkeypatch.setattr("optlab.tasks.text._help_of_python", lambda: "a" * 160)
    with pytest.raises(ConfigError, match="the help of Python has 160 characters"):
        Characters().load()


@pytest.mark.parametrize(("option", "value"), [("length", 0), ("max_rows", 4)])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=rf"{option} must be in .*got {value}"):
        Characters(**{option: value})
