"""What is special to losses of classes."""

import pytest
import torch

from optlab.nn import losses
from optlab.nn.losses import BCE, CCE, Hinge, PerceptronLoss, SparseCCE

LABELS = torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (BCE(), [[0.0], [1.0], [1.0]]),
        (PerceptronLoss(), [[-1.0], [1.0], [1.0]]),
        (Hinge(), [[-1.0], [1.0], [1.0]]),
        (CCE(), [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
        (SparseCCE(), [0, 1, 1]),
    ],
)
def test_target_of_two_classes(loss, target):
    """E20: the notes' {0, 1} of the rule and {-1, 1} of the loss are converted explicitly."""
    assert loss.encode(LABELS, 2).tolist() == target


@pytest.mark.parametrize("loss", [BCE(), PerceptronLoss(), Hinge()])
def test_score_of_zero_means_class_one(loss):
    assert loss.predict(torch.tensor([[0.0], [-0.1], [0.1]])).tolist() == [1, 0, 1]


def test_classes_use_the_forms_on_scores():
    z = torch.tensor([[40.0, -40.0], [3.0, 1.0]])
    y = torch.tensor([1, 1])
    assert float(SparseCCE()(z, y)) == pytest.approx(
        float(losses.sparse_cce_with_logits(z, y)), rel=1e-7
    )
    assert float(CCE()(z, losses.one_hot(y, 2))) == pytest.approx(float(SparseCCE()(z, y)))
    bits = losses.one_hot(y, 2)
    assert float(BCE()(z, bits)) == pytest.approx(float(losses.bce_with_logits(z, bits)))
