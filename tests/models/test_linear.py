"""One linear model and four heads by the loss (LOS-13), against closed forms and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.func import grad, jacrev

from optlab.models import LinearModel, ModelContext
from optlab.models.linear import build_linear
from optlab.nn import ReLU
from optlab.registry import losses

STREAM = torch.Generator().manual_seed(0)
X = torch.randn(60, 3, generator=STREAM, dtype=torch.float64)
NOISE = torch.randn(60, 3, generator=STREAM, dtype=torch.float64)


def fitted(loss, num_outputs, target):
    """Return the model at the minimum of its loss."""
    module = LinearModel(3, num_outputs).double()
    optimizer = torch.optim.LBFGS(
        module.parameters(),
        max_iter=300,
        tolerance_grad=1e-10,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        value = loss(module(X), target)
        value.backward()
        return value

    optimizer.step(closure)
    return module


def test_mean_squared_error_gives_linear_regression():
    y = X @ torch.tensor([[1.0], [-2.0], [0.5]]).double() + 3 + 0.1 * NOISE[:, :1]
    module = fitted(losses.create("mse", {}), 1, y)
    design = torch.cat([X, torch.ones(60, 1).double()], dim=1)
    solution = torch.linalg.lstsq(design, y).solution.squeeze()
    torch.testing.assert_close(module.linear.weight.detach()[0], solution[:3])
    torch.testing.assert_close(module.linear.bias.detach()[0], solution[3])


@pytest.mark.parametrize(("name", "classes"), [("bce", 2), ("cce", 3), ("sparse_cce", 3)])
def test_cross_entropy_gives_logistic_and_softmax_regression(name, classes):
    labels = (X + NOISE)[:, :classes].argmax(-1)
    loss = losses.create(name, {})
    target = loss.encode(labels, classes, torch.float64)
    module = fitted(loss, loss.num_outputs(classes), target)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X, labels)
    probability = torch.from_numpy(reference.predict_proba(X.numpy()))
    expected = probability if loss.num_outputs(classes) > 1 else probability[:, 1:]
    # Far below the 1e-3 of the course notes' row: what the reference's own stop leaves.
    torch.testing.assert_close(loss.activate(module(X)).detach(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["perceptron", "hinge"])
def test_step_head_gives_a_classifier_of_separable_rows(name):
    """LOS-12: by plain gradient descent, from weights that are not the trivial minimum."""
    labels = (X @ torch.tensor([1.0, -1.0, 0.5]).double() > 0).long()
    loss = losses.create(name, {})
    target = loss.encode(labels, 2, torch.float64)
    module = LinearModel(3, 1).double()
    for _ in range(400):
        slopes = torch.autograd.grad(loss(module(X), target), list(module.parameters()))
        for parameter, slope in zip(module.parameters(), slopes, strict=True):
            parameter.data -= 0.5 * slope
    assert torch.equal(loss.predict(module(X)), labels)


@pytest.mark.parametrize(
    ("name", "target"),
    [("mse", NOISE[:, :1]), ("bce", (NOISE[:, :1] > 0).double())],
)
def test_loss_of_a_linear_model_is_convex(name, target):
    """LOS-02, LOS-08 and E25: one minimum for both, where the notes give BCE several."""
    loss = losses.create(name, {})

    def cost(weight):
        return loss(X @ weight.unsqueeze(-1), target)

    for scale in (0.1, 1.0, 10.0):
        curvature = jacrev(grad(cost))(scale * NOISE[0])
        assert float(torch.linalg.eigvalsh(curvature).min()) > -1e-12


def test_builder_lays_inputs_flat():
    module = build_linear(ModelContext((2, 3), 4, ReLU))
    assert list(module.state_dict()) == ["linear.weight", "linear.bias"]
    assert module(torch.zeros(5, 2, 3)).shape == (5, 4)
