"""Which of a run's tags are the losses and accuracies that a report is made of."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from optlab.config import ConfigError
from optlab.report.text import plural

#: Words for a split, and for a metric, as people write them.
SPLITS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing"),
}
METRICS = {"loss": ("loss",), "accuracy": ("acc", "accuracy", "top1", "acc1")}
#: Words that say how often or how something is recorded, not what.
FILLERS = ("epoch", "avg", "average", "mean", "per", "sparse", "categorical", "binary")
RATES = ("lr", "learning_rate", "epoch_learning_rate")

_SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
_METRIC_OF = {word: metric for metric, words in METRICS.items() for word in words}


@dataclass
class Mapped:
    """How tags are read.

    Attributes:
        names: What each known tag is here: ``"val_loss"`` is ``"loss/val"``.
        others: Tags that are kept under their own name.
        notes: What is to be said of it.
    """

    names: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def split_of(name: str) -> str | None:
    """Return the split that a folder's name means, as Keras' ``validation``."""
    return _SPLIT_OF.get(name.lower())


def mapped(tags: Collection[str], metric: str | None = None, loss: str | None = None) -> Mapped:
    """Return how tags are read.

    Args:
        tags: Those of all runs.
        metric: A tag that is the validation accuracy, whatever it is called.
        loss: A tag that is the validation loss.

    Raises:
        ConfigError: When a tag that was named is not there, or none is known as a validation value.
    """
    found = Mapped()
    for wanted, own, flag in ((loss, "loss/val", "--loss"), (metric, "accuracy/val", "--metric")):
        if wanted is not None:
            _require(wanted, tags, flag)
            found.names[wanted] = own
    for tag in sorted(tags, key=lambda tag: (len(tag), tag)):
        name = known_as(tag)
        if tag not in found.names and name is not None and name not in found.names.values():
            found.names[tag] = name
    if not {"loss/val", "accuracy/val"} & set(found.names.values()):
        _take_test(found.names, found.notes)
    found.others = sorted(set(tags) - set(found.names))
    if not {"loss/val", "accuracy/val"} & set(found.names.values()):
        raise ConfigError(
            "none of these tags is known as a validation loss or accuracy: "
            f"{', '.join(sorted(tags)) or 'there is none'}; name one with --loss TAG (lower is "
            "better) or --metric TAG (an accuracy)"
        )
    return found


def known_as(tag: str) -> str | None:
    """Return what a tag is called here, from the words of its name; None where they say more."""
    words = [word for word in re.split(r"[^a-z0-9]+", _snake(tag).lower()) if word]
    if "_".join(words) in RATES:
        return "lr"
    splits = {_SPLIT_OF[word] for word in words if word in _SPLIT_OF}
    metrics = {_METRIC_OF[word] for word in words if word in _METRIC_OF}
    rest = [w for w in words if w not in _SPLIT_OF and w not in _METRIC_OF and w not in FILLERS]
    if rest or len(splits) != 1 or len(metrics) != 1:
        return None
    return f"{metrics.pop()}/{splits.pop()}"


def _snake(tag: str) -> str:
    """Return ``valLoss`` as ``val_loss``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", tag)


def _take_test(names: dict[str, str], notes: list[str]) -> None:
    """Let values of a test split rank the runs where there are no others, and say so."""
    for tag, name in list(names.items()):
        metric, _, split = name.partition("/")
        if split == "test":
            names[tag] = f"{metric}/val"
            notes.append(
                f"{tag} ranks the runs, as they have no validation values: what is chosen by it "
                "does better on those rows than on others"
            )


def _require(tag: str, tags: Collection[str], flag: str) -> None:
    if tag not in tags:
        raise ConfigError(
            f"{flag} must be a tag of the event files, got {tag!r}; they have "
            f"{', '.join(sorted(tags)) or 'none'}"
        )


def sentences(found: Mapped, tags: Mapping[str, int]) -> list[str]:
    """Return how tags are read, and in how many runs each is, for whoever asked for a report."""
    lines = [
        f"{tag} is read as {name} ({plural(tags[tag], 'run')})" for tag, name in found.names.items()
    ]
    return [*lines, *found.notes]
