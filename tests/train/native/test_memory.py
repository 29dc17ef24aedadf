"""Room to work in: pieces that are in use at the same time never overlap."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.train.native.function import LINE, _laid_out
from optlab.train.native.values import Storage

LIVES = st.lists(
    st.tuples(st.integers(1, 400), st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=20
)


@given(LIVES)
def test_pieces_in_use_at_once_lie_apart_and_in_the_room(lives):
    pieces = [
        Storage(f"b{i}", torch.float64, size, None, born, born + more)
        for i, (size, born, more) in enumerate(lives)
    ]
    room = _laid_out(pieces)
    for i, piece in enumerate(pieces):
        assert piece.offset % LINE == 0
        assert piece.offset + piece.size * 8 <= room
        for other in pieces[:i]:
            meet = piece.born <= other.last and other.born <= piece.last
            apart = (
                piece.offset + piece.bytes <= other.offset
                or other.offset + other.bytes <= piece.offset
            )
            assert apart or not meet


def test_a_room_is_used_again_after_its_last_reader():
    pieces = [Storage(f"b{i}", torch.float32, 64, None, 2 * i, 2 * i + 1) for i in range(4)]
    assert _laid_out(pieces) == 64 * 4
