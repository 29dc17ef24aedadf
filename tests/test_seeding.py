import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.seeding import generator, stream_key, uniform_at

CPU = torch.device("cpu")
keys = st.integers(min_value=0, max_value=2**63 - 1)


def draw(key: int, counter: int, size: tuple[int, ...] = (512,)) -> torch.Tensor:
    return uniform_at(torch.tensor(key), torch.tensor(counter), size, CPU)


@given(st.integers(), st.text(), st.lists(st.integers() | st.text()))
def test_stream_key_fits_a_signed_word(seed: int, purpose: str, counters: list[int | str]) -> None:
    assert 0 <= stream_key(seed, purpose, *counters) < 2**63


def test_stream_key_is_the_same_in_every_process_and_version() -> None:
    # Recorded once: a change would silently change every published run.
    assert stream_key(0, "init") == 7797302695267191734


def test_streams_differ_in_seed_purpose_and_counter() -> None:
    coordinates = itertools.product(range(4), ("init", "order", "dropout"), range(4), range(4))
    all_keys = [stream_key(seed, purpose, *counters) for seed, purpose, *counters in coordinates]
    assert len(set(all_keys)) == len(all_keys)


def test_generator_starts_its_stream_anew_each_time() -> None:
    first, again = (torch.rand(8, generator=generator(3, "order", 1)) for _ in range(2))
    other = torch.rand(8, generator=generator(3, "order", 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_generator_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    torch.rand(8, generator=generator(0, "init"))
    draw(1, 1)
    assert torch.equal(torch.get_rng_state(), before)


@given(keys, st.integers(min_value=0, max_value=10**9))
def test_uniform_numbers_lie_in_their_interval(key: int, counter: int) -> None:
    numbers = draw(key, counter)
    assert numbers.dtype == torch.float32
    assert bool(((numbers >= 0) & (numbers < 1)).all())


@pytest.mark.parametrize("size", [(), (7,), (3, 5), (2, 3, 4), (0, 4)])
def test_uniform_numbers_have_the_size_asked_for(size: tuple[int, ...]) -> None:
    assert draw(1, 0, size).shape == size


def test_uniform_numbers_depend_on_position_not_on_size() -> None:
    assert torch.equal(draw(5, 2, (64,))[:10], draw(5, 2, (10,)))


def test_uniform_numbers_are_uniform() -> None:
    numbers = draw(stream_key(0, "dropout"), 0, (200_000,))
    # Standard errors: mean 0.29 / sqrt(n) = 6.5e-4, each of ten bins sqrt(0.09 / n) = 6.7e-4.
    assert float(numbers.mean()) == pytest.approx(0.5, abs=3e-3)
    assert torch.histc(numbers, 10, 0, 1).div(len(numbers)).sub(0.1).abs().max() < 3e-3


@pytest.mark.parametrize(
    ("one", "other"),
    [((7, 0), (7, 1)), ((7, 0), (8, 0)), ((7, 0), (7 + 2**32, 0)), ((7, 1), (6, 0))],
    ids=["counter", "low word of the key", "high word of the key", "key and counter"],
)
def test_neighbouring_streams_are_uncorrelated(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    pair = torch.stack([draw(*one, (20_000,)), draw(*other, (20_000,))])
    # One standard error of a correlation is 1 / sqrt(n) = 0.007.
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03


def test_two_keys_share_no_run_of_numbers() -> None:
    a, b = (draw(key, 0, (4096,)) for key in (1, 2))
    shared = set(a.tolist()) & set(b.tolist())
    # 4096 draws of 24 bits meet by chance: 4096**2 / 2**24 = 1 common value expected.
    assert len(shared) < 10


def test_a_stack_draws_what_its_members_draw_alone() -> None:
    run_keys, counter = torch.tensor([3, 2**40 + 1, 2**62]), torch.tensor(9)
    stacked = torch.vmap(lambda key: uniform_at(key, counter, (5, 4), CPU))(run_keys)
    alone = torch.stack([uniform_at(key, counter, (5, 4), CPU) for key in run_keys])
    assert torch.equal(stacked, alone)
