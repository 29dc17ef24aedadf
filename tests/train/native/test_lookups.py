"""Lookups by index, also by one that is wrong."""

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.train.native.function import kernels
from tests.train.native.calling import called, check, normal

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)


F = torch.nn.functional


def test_rows_of_a_table_and_their_gradient_without_the_padding():
    index = torch.tensor([[0, 2], [2, 1]])

    def function(table):
        table = table.detach().requires_grad_()
        with torch.enable_grad():
            rows = F.embedding(index, table, padding_idx=2)
            (grad,) = torch.autograd.grad((rows * rows).sum(), table)
        return [rows.detach(), grad]

    check(function, normal(4, 3))


def test_an_index_outside_of_a_table_reads_and_writes_nothing():
    table, wrong = normal(3, 4), torch.tensor([[2, 9, -5, 0]])
    right = torch.zeros_like(wrong)

    def function(table, index):
        spread = torch.zeros_like(table).scatter_add(0, index, torch.ones(1, 4))
        return [table.gather(0, index), spread]

    found, spread = called(function, table, wrong, recorded=[table, right])
    assert found.isnan().tolist() == [[False, True, True, False]]
    assert spread.sum() == 2


def test_sums_with_a_factor_and_lookups_without_an_axis():
    rows = torch.tensor([0, 1])
    one = torch.tensor(0)
    check(lambda x: [x.index_add(0, rows, x[:2], alpha=2), x.sum().gather(0, one)], normal(3, 3))
