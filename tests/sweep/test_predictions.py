import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from optlab.build import parts_of
from optlab.sweep.predictions import images, predictions, sequences
from optlab.train.objective import rows_of_a_chunk
from tests.sweep.composing import _composed as composed
from tests.tasks.image_sets import idx_files


def made(*overrides):
    """Return a configuration and its parts, at first weights."""
    config = composed(*overrides)
    return config, parts_of(config)


CASES = {
    "sparse_cce": ("task=blobs",),
    "cce": ("task=blobs", "loss=cce"),
    "bce": ("task=blobs", "task.centers=2", "loss=bce"),
    "hinge": ("task=blobs", "task.centers=2", "loss=hinge"),
    "mse": ("task=blobs", "loss=mse"),
    "per step": ("task=copy", "task.rows=60", "task.length=3", "model=rnn"),
    "chunks": ("task=blobs", "task.rows=9000", "model.hidden=[4]"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_share_of_right_classes_is_the_accuracy_of_the_run(case):
    config, parts = made(*CASES[case])
    found = predictions(config, parts)
    expected = parts.objective.evaluate(parts.module, parts.data.val)["accuracy"]
    assert (found.true == found.predicted).mean() == pytest.approx(expected, abs=1e-6)
    assert found.true.shape == parts.data.val.y.shape[: found.true.ndim]
    if case == "chunks":
        assert len(found.true) > rows_of_a_chunk(parts.data.val.x)


def test_certainty_is_the_probability_of_the_predicted_class():
    config, parts = made("task=blobs", "trainer.dtype=float64")
    with torch.no_grad():
        expected = torch.softmax(parts.module(parts.data.val.x), 1).amax(1)
    np.testing.assert_allclose(predictions(config, parts).certainty, expected, rtol=1e-12)


def test_one_score_of_two_classes_is_the_probability_of_either():
    config, parts = made("task=blobs", "task.centers=2", "loss=bce", "trainer.dtype=float64")
    with torch.no_grad():
        ones = torch.sigmoid(parts.module(parts.data.val.x))[:, 0].numpy()
    found = predictions(config, parts)
    expected = np.where(found.predicted == 1, ones, 1 - ones)
    np.testing.assert_allclose(found.certainty, expected, rtol=1e-12)


def test_scores_that_are_no_probabilities_have_no_certainty():
    config, parts = made("task=blobs", "task.centers=2", "loss=hinge")
    assert np.isnan(predictions(config, parts).certainty).all()


def test_there_are_none_of_real_targets_of_functions_and_of_broken_weights():
    for task in ("line", "rosenbrock"):
        assert predictions(*made(f"task={task}")) is None
    config, parts = made("task=blobs")
    with torch.no_grad():
        next(parts.module.parameters()).fill_(torch.nan)
    assert predictions(config, parts) is None


def test_asking_leaves_the_model_in_its_mode():
    config, parts = made("task=blobs", "model.dropout=0.5")
    predictions(config, parts)
    assert parts.module.training


@pytest.mark.parametrize("standardize", ["true", "false"])
def test_digits_are_shown_as_they_were_scanned(standardize):
    config, parts = made("task=digits", f"task.standardize={standardize}")
    found = images(config, parts)
    known = {(image.tobytes(), label) for image, label in zip(*both(), strict=True)}
    pairs = zip(found, parts.data.val.y.tolist(), strict=True)
    assert all((image.astype(np.float64).tobytes(), label) in known for image, label in pairs)


def both():
    scanned = load_digits()
    return scanned.images.astype(np.float64), scanned.target.tolist()


def test_images_of_one_channel_are_gray(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in idx_files().items():
        (folder / name).write_bytes(content)
    options = [f"task.root={tmp_path}", "task.download=false", "task.val_rows=7"]
    config, parts = made("task=mnist", *options)
    assert images(config, parts).shape == (7, 28, 28)


def test_numbers_in_a_row_are_no_image():
    assert images(*made("task=blobs")) is None


def test_sequences_are_a_table_with_the_worst_rows_first():
    config, parts = made("task=copy", "task.rows=60", "task.length=3", "model=rnn")
    found = predictions(config, parts)
    first, _, _, _, *rows = sequences(config, parts, found).splitlines()
    wrong = int((found.true != found.predicted).sum())
    assert first.startswith(f"{wrong} of {found.true.size} answers on validation rows are wrong")
    counts = [int(row.split("|")[-2]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    worst = int((found.true != found.predicted).sum(1).argmax())
    heard, right = (" ".join(map(str, t[worst].tolist())) for t in (parts.data.val.x, found.true))
    assert rows[0].startswith(f"| `{heard}` | `{right}` |")


def test_characters_are_text_that_breaks_no_table(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a|b\nc`d" * 200)
    config, parts = made("task=characters", f"task.path={text}", "task.length=8", "model=rnn")
    lines = sequences(config, parts, predictions(config, parts)).splitlines()
    assert {line.count("|") for line in lines[2:]} == {5}
    assert any("a¦b␤c'd" in line for line in lines)


def test_there_is_no_table_without_tokens():
    config, parts = made("task=blobs")
    assert sequences(config, parts, predictions(config, parts)) == ""
