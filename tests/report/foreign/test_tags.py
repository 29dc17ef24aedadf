import pytest

from optlab.config import ConfigError
from optlab.report.foreign.tags import known_as, mapped, sentences

KNOWN = {
    "loss/val": ("val_loss", "valid/loss", "Loss/val", "validation.loss", "valLoss", "loss_dev"),
    "accuracy/val": ("val_acc", "val/acc", "accuracy/val", "epoch_accuracy/validation", "val acc1"),
    "loss/train": ("train_loss", "Loss/train", "epoch_loss/train", "train/loss_epoch"),
    "loss/test": ("Loss/test", "test_loss"),
    "lr": ("lr", "learning_rate", "epoch_learning_rate"),
}
UNKNOWN = (
    *("loss", "val", "loss/val/regularizer", "val_f1", "evaluation_loss_vs_iterations/validation"),
    *("train_val_loss", "loss_accuracy_val", "gradient_norm/train_loss_layer", "lr/val_loss"),
)


@pytest.mark.parametrize(("name", "tag"), [(n, tag) for n, tags in KNOWN.items() for tag in tags])
def test_names_that_people_use_are_known(name: str, tag: str) -> None:
    assert known_as(tag) == name


@pytest.mark.parametrize("tag", UNKNOWN)
def test_a_name_that_says_more_or_less_is_left_alone(tag: str) -> None:
    assert known_as(tag) is None


def test_every_tag_has_one_place_and_the_shortest_name_comes_first() -> None:
    found = mapped(["val_loss_epoch", "val_loss", "other"])
    assert found.names == {"val_loss": "loss/val"}
    assert found.others == ["other", "val_loss_epoch"]


def test_what_was_named_goes_before_what_is_known() -> None:
    found = mapped(["val_loss", "val_acc", "my/cost", "my/score"], "my/score", "my/cost")
    assert found.names == {"my/cost": "loss/val", "my/score": "accuracy/val"}


def test_test_values_rank_only_where_there_are_no_others_and_that_is_said() -> None:
    found = mapped(["Loss/test", "Loss/train"])
    assert found.names == {"Loss/test": "loss/val", "Loss/train": "loss/train"}
    assert "Loss/test ranks the runs" in sentences(found, {"Loss/test": 2, "Loss/train": 2})[-1]
    assert mapped(["Loss/test", "Loss/val"]).names["Loss/test"] == "loss/test"


@pytest.mark.parametrize("flag", ["metric", "loss"])
def test_a_tag_that_is_not_there_is_refused_with_those_that_are(flag: str) -> None:
    with pytest.raises(ConfigError, match=f"--{flag} must be a tag.*'f1'; they have loss, val_acc"):
        mapped(["val_acc", "loss"], **{flag: "f1"})


def test_without_a_validation_value_it_is_said_what_to_name() -> None:
    with pytest.raises(ConfigError, match="accuracy: cost, train_loss; name one with --loss TAG"):
        mapped(["train_loss", "cost"])
