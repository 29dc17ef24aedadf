import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab import seeding
from optlab.tasks.splits import stratified_order, three_splits

labels_of = st.lists(st.integers(0, 3), min_size=1, max_size=80).map(torch.tensor)


@given(labels_of, st.integers(0, 3))
def test_stratified_order_has_every_row_once(labels, seed):
    order = stratified_order(labels, seeding.generator(seed, "data"))
    assert torch.equal(order.sort().values, torch.arange(len(labels)))


@given(labels_of)
def test_every_prefix_of_a_stratified_order_holds_classes_in_proportion(labels):
    ordered = labels[stratified_order(labels, seeding.generator(0, "data"))]
    length = torch.arange(1, len(labels) + 1)
    for label in labels.unique():
        share = (labels == label).double().mean()
        excess = (ordered == label).cumsum(0) - length * share
        assert excess.abs().max() <= 1 + 4 * share  # the docstring's bound, C = 4


def test_stratified_order_differs_between_streams_and_repeats_within_one():
    labels = torch.arange(40) % 4
    first, again, other = (
        stratified_order(labels, seeding.generator(s, "data")) for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(st.integers(5, 300))
def test_three_splits_are_60_20_20_and_hold_every_row_once(rows):
    x = torch.arange(rows, dtype=torch.float32)[:, None]
    splits = three_splits(x, x.clone(), torch.arange(rows).flip(0))
    assert torch.equal(torch.cat([s.x for s in splits]), x.flip(0))
    for split, share in zip(splits, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(split) - share * rows) <= 1  # two rounded ends
        assert len(split) > 0
        assert torch.equal(split.x, split.y)
