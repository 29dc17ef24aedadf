"""The contract of every registered loss: shapes, encoding, heads, stacks, refusals."""

import dataclasses

import pytest
import torch
from torch.func import grad, vmap

from optlab.config import ConfigError
from optlab.nn.activations import Identity, Sigmoid, Softmax, Step
from optlab.nn.losses import MSE, Loss, Objective
from optlab.nn.losses.base import fits
from optlab.registry import losses

HEADS = {"identity": Identity(), "sigmoid": Sigmoid(), "softmax": Softmax(), "step": Step()}
CONFIGURABLE = [entry for _, entry in losses.items() if not issubclass(entry, Objective)]
FOR_CLASSES = [
    (entry, head, count)
    for entry in CONFIGURABLE
    for head in entry.heads
    for count in (2, 5)
    if fits(entry, count)
]


@pytest.fixture(params=FOR_CLASSES, ids=lambda p: f"{p[0].__name__}-{p[1]}-{p[2]}")
def batch(request):
    """A loss, scores, encoded targets, labels and the number of classes."""
    entry, head, count = request.param
    loss = entry(head=head)
    labels = torch.arange(7) % count
    stream = torch.Generator().manual_seed(3)
    output = torch.randn(7, loss.num_outputs(count), generator=stream, dtype=torch.float64)
    return loss, output, loss.encode(labels, count, torch.float64), labels, count


def test_cost_is_the_mean_of_the_rows(batch):
    loss, output, target, _, _ = batch
    rows = loss.per_sample(output, target)
    assert rows.shape == (7,)
    assert loss(output, target).shape == ()
    torch.testing.assert_close(loss(output, target), rows.mean())


def test_row_depends_on_its_own_score_and_target_only(batch):
    loss, output, target, _, _ = batch
    rows = loss.per_sample(output, target)
    for row in range(7):
        alone = loss.per_sample(output[row : row + 1], target[row : row + 1])
        torch.testing.assert_close(alone[0], rows[row])


def test_encoding_is_undone_by_labels(batch):
    loss, _, target, labels, _ = batch
    assert torch.equal(loss.labels(target), labels)
    assert loss.labels(target).dtype == torch.int64


def test_descent_on_the_scores_learns_the_labels(batch):
    """Scores that fall in loss must end in the prediction of every label."""
    loss, output, target, labels, _ = batch
    for _ in range(300):
        output = output - 2 * grad(lambda z: loss(z, target))(output)
    predicted = loss.predict(output)
    assert torch.equal(predicted, labels)
    assert predicted.dtype == torch.int64


def test_activate_is_the_head(batch):
    loss, output, _, _, _ = batch
    torch.testing.assert_close(loss.activate(output), HEADS[loss.head](output))


def test_prediction_follows_from_the_activated_output(batch):
    """Rows whose best probability or decision is a label are predicted as it."""
    loss, output, _, _, _ = batch
    answer = loss.activate(output)
    expected = answer.argmax(-1) if answer.shape[-1] > 1 else (answer[:, 0] >= 0.5).long()
    assert torch.equal(loss.predict(output), expected)


def test_stack_equals_each_run(batch):
    loss, output, target, _, _ = batch
    outputs, targets = torch.stack([output, -output]), torch.stack([target, target])
    torch.testing.assert_close(
        vmap(loss)(outputs, targets), torch.stack([loss(z, target) for z in outputs])
    )
    torch.testing.assert_close(
        vmap(loss.per_sample)(outputs, targets),
        torch.stack([loss.per_sample(z, target) for z in outputs]),
    )
    assert torch.equal(vmap(loss.predict)(outputs), torch.stack([loss.predict(z) for z in outputs]))
    assert torch.equal(vmap(loss.labels)(targets)[0], loss.labels(target))


def test_target_is_encoded_in_the_wanted_type(batch):
    loss, _, target, labels, count = batch
    assert target.dtype in (torch.float64, torch.int64)
    single = loss.encode(labels, count)
    assert single.dtype == (torch.float32 if target.is_floating_point() else torch.int64)


def test_label_outside_is_refused(batch):
    loss, _, _, labels, count = batch
    with pytest.raises(ConfigError, match=f"for {count} classes"):
        loss.encode(labels + 1, count)


@pytest.mark.parametrize("entry", CONFIGURABLE)
def test_first_head_is_the_default(entry):
    assert entry().head == entry.heads[0]
    assert entry(head=entry.heads[-1]).head == entry.heads[-1]


@pytest.mark.parametrize("entry", CONFIGURABLE)
def test_impossible_head_says_what_goes_with_what(entry):
    (impossible, *_) = set(HEADS) - set(entry.heads)
    with pytest.raises(ConfigError) as caught:
        entry(head=impossible)
    message = str(caught.value)
    assert f"cannot have head {impossible} (loss.head)" in message
    assert all(head in message for head in entry.heads)
    partners = message.rpartition("goes with ")[2].split(", ")
    assert partners == [name for name, other in losses.items() if impossible in other.heads]


def test_softmax_does_not_go_with_squared_error():
    """LOS-14: the example of the course notes' table."""
    with pytest.raises(ConfigError, match="identity or sigmoid; softmax goes with cce, sparse_cce"):
        losses.create("mse", {"head": "softmax"})


def test_unknown_head_is_refused():
    with pytest.raises(ConfigError, match=r"head must be one of auto, .* got 'relu'"):
        MSE(head="relu")


@pytest.mark.parametrize("entry", CONFIGURABLE)
@pytest.mark.parametrize("num_classes", [None, 1, 2, 5])
def test_targets_that_do_not_fit_are_refused_with_those_losses_that_do(entry, num_classes):
    loss = entry()
    if fits(entry, num_classes):
        loss.check_targets(num_classes)
        return
    with pytest.raises(ConfigError) as caught:
        loss.check_targets(num_classes)
    listed = str(caught.value).rpartition("choose one of ")[2].split(", ")
    fitting = [name for name, other in losses.items() if fits(other, num_classes)]
    assert listed == (fitting or ["none"])


@pytest.mark.parametrize("entry", [e for e in CONFIGURABLE if not fits(e, 5)])
def test_too_many_classes_are_refused_before_training(entry):
    with pytest.raises(ConfigError, match="does not fit a task with 5 classes"):
        entry().num_outputs(5)
    with pytest.raises(ConfigError, match="does not fit a task with 5 classes"):
        entry().encode(torch.arange(5), 5)


@pytest.mark.parametrize("entry", [e for e in CONFIGURABLE if e.for_real])
def test_real_targets_are_used_as_they_are(entry):
    output = torch.tensor([[1.0, 2.0], [0.5, -1.0]])
    assert float(entry()(output, output)) == 0.0
    assert entry().per_sample(output, output + 1).shape == (2,)


@pytest.mark.parametrize("entry", CONFIGURABLE)
def test_losses_are_values(entry):
    """Equal options make equal, hashable losses, so that programs can be shared by them."""
    assert entry() == entry()
    assert hash(entry()) == hash(entry())
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry().head = "auto"


def test_unregistered_loss_is_named_by_its_class():
    class Mine(MSE):
        pass

    with pytest.raises(ConfigError, match="loss Mine cannot have head step"):
        Mine(head="step")
    assert isinstance(Mine(), Loss)
