"""What would be wrong at the second call is refused at the first, with the reason."""

import pytest
import torch

from optlab.compiler import NoCompiler, NotCompiled
from optlab.train.native.function import compiled, kernels
from tests.train.native.calling import check, normal

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)


HELD = torch.zeros(5)

REFUSED = {
    "tolist": (lambda x: [x * sum(x.tolist())], "value of a tensor"),
    "numpy": (lambda x: [x * torch.from_numpy(x.numpy())], "value of a tensor"),
    "item": (lambda x: [x * x.sum().item()], "value of a tensor"),
    "bool": (lambda x: [x if x.sum() > 0 else -x], "value of a tensor"),
    "equal": (lambda x: [x * torch.equal(x, x)], "value of a tensor"),
    "mask": (lambda x: [x[x > 0]], "shape"),
    "nonzero": (lambda x: [torch.nonzero(x)], "shape"),
    "unique": (lambda x: [torch.unique(x)], "shape"),
    "noise": (lambda x: [x + torch.rand(5)], "global generator"),
    "strides": (lambda x: [x.as_strided((2, 2), (1, 2)) * 2], "shows memory"),
    "bits": (lambda x: [x.view(torch.int32) + 1], "shows memory"),
    "input": (lambda x: [x.mul_(2) + 1], "not its own"),
    "held": (lambda x: [HELD.mul_(1) + x], "not its own"),
    "complex": (lambda x: [torch.fft.rfft(x).abs()], "complex"),
    "several": (lambda x: [torch.add(x, 1, out=torch.empty(5))], "writes into"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name):
    function, reason = REFUSED[name]
    with pytest.raises(NotCompiled, match=reason):
        compiled(function, [normal(5)], [0], [1])


def test_what_is_refused_left_the_inputs_as_they_were():
    x = normal(5)
    before = x.clone()
    with pytest.raises(NotCompiled):
        compiled(lambda x: [x.mul_(2)], [x], [0], [1])
    assert torch.equal(x, before)


def test_elements_by_their_numbers_are_no_mask():
    places = torch.tensor([3, 0, 0])
    check(lambda x: [x[places] * 2], normal(5), recorded=[normal(5, seed=1)])


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_that_drops_nothing_is_no_draw(is_causal):
    def function(q, k, v):
        attention = torch.nn.functional.scaled_dot_product_attention
        return [attention(q, k, v, is_causal=is_causal)]

    check(function, *(normal(2, 3, 7, 4, seed=i) for i in range(3)))


def test_attention_that_drops_is_refused():
    def function(q):
        return [torch.nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5)]

    with pytest.raises(NotCompiled, match="global generator"):
        compiled(function, [normal(2, 3, 7, 4)], [0], [1])
