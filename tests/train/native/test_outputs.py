"""Results that are written over inputs read what stood there before."""

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.train.native.function import kernels
from tests.train.native.calling import check, normal

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)


def test_a_result_may_lie_turned_in_its_own_input():
    check(lambda a: [a.t()], normal(5, 5), results=[0])


def test_inputs_trade_places():
    check(lambda a, b: [b, a * 1], normal(4, 4), normal(4, 4, seed=1), results=[0, 1])


def test_another_shape_of_an_input_is_read_before_it_is_written_over():
    a, b = normal(40), normal(40, 1, seed=1)
    check(lambda a, b: [a * 2, a.view(40, 1) + b], a, b, results=[0, 1])


def test_one_element_of_a_larger_result_is_read_before_that_is_written():
    a, b = normal(40), normal(5, seed=1)
    check(lambda a, b: [a * 2, b + a[3]], a, b, results=[0, 1])


def test_one_element_of_a_row_is_read_before_the_loop_along_it():
    a, b = normal(1, 5), normal(1, 5, seed=1)
    check(lambda a, b: [a * b[:, :1], b + 1], a, b, results=[0, 1])


def test_a_scalar_is_read_by_larger_results_before_it_counts_on():
    check(lambda a, n: [a * n, n + 1], normal(7), torch.tensor(3.0), results=[0, 1])


def test_a_sum_of_an_input_that_is_written_over():
    check(lambda a, b: [a + b[0], b + a.sum()], normal(5), normal(5, seed=1), results=[0, 1])


def test_one_value_may_be_two_results_and_a_part_of_a_third():
    def function(a):
        total = (a * 2).cumsum(0)
        return [total, total, total + a]

    check(function, normal(6))


def test_results_made_where_they_belong_beside_copies_and_formulas():
    check(lambda a: [a.cumsum(0), a * 2, a.t()], normal(4, 4), results=[1, 2, 0])
