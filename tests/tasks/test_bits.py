import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks.bits import Echo, Parity


def splits_of(task):
    data = task.load()
    return data.train, data.val, data.test


def running_parity(x: torch.Tensor) -> torch.Tensor:
    """Return the parity so far of bits -1 and 1, (N, T, 1) -> (N, T), by one xor per step."""
    state = torch.zeros(len(x), dtype=torch.bool)
    seen = []
    for bit in x.squeeze(-1).unbind(1):
        state = state ^ (bit == 1)
        seen.append(state)
    return torch.stack(seen, dim=1).long()


def distinct(*splits) -> bool:
    rows = torch.cat([split.x.flatten(1) for split in splits])
    return len(rows.unique(dim=0)) == len(rows)


def test_a_running_xor_answers_at_the_end():
    for split in splits_of(Parity()):
        assert split.x.abs().unique().tolist() == [1]
        assert torch.equal(running_parity(split.x)[:, -1], split.y)


def test_a_running_xor_answers_at_every_step():
    data = Parity(length=8, rows=200, every_step=True).load()
    assert data.target_steps == 8
    for split in (data.train, data.val, data.test):
        assert torch.equal(running_parity(split.x), split.y)


@pytest.mark.parametrize("every_step", [False, True])
def test_longer_test_rows_are_asked_as_the_others_are(every_step):
    data = Parity(length=6, rows=60, every_step=every_step, test_length=15).load()
    assert data.input_shape == (6, 1)
    assert data.test.x.shape == (12, 15, 1)
    asked = running_parity(data.test.x)[:, -6:]
    assert torch.equal(data.test.y, asked if every_step else asked[:, -1])


def test_parity_is_in_proportion_in_every_split():
    task = Parity(length=12, rows=2000)
    splits = splits_of(task)
    odd = torch.cat([split.y for split in splits]).double().mean()
    assert abs(odd - 0.5) < 0.056  # five deviations of the mean of 2000 fair bits
    for split in splits:
        assert abs(split.y.sum() - odd * len(split)) <= 4  # two cuts, each within 2 rows


def test_no_linear_function_of_the_bits_knows_the_parity():
    splits = splits_of(Parity(length=10, rows=1024))
    bits = torch.cat([split.x.squeeze(-1) for split in splits])
    sign = 2.0 * torch.cat([split.y for split in splits]) - 1
    # over all streams parity is orthogonal to every bit and to 1; sums of +-1 are exact
    assert (bits.T @ sign).abs().max() == 0
    assert sign.sum() == 0


@pytest.mark.parametrize(
    "task", [Parity(), Parity(length=7, rows=128), Echo(), Echo(length=4, lag=1, rows=256)]
)
def test_no_test_row_was_trained_on(task):
    assert distinct(*splits_of(task))


def test_more_rows_than_streams_are_refused():
    with pytest.raises(ConfigError, match=r"rows must be at most 512.*got 1000.*task\.rows"):
        Parity(length=9).load()
    with pytest.raises(ConfigError, match=r"rows must be at most 27.*got 2000"):
        Echo(length=3, symbols=3, lag=1).load()


@pytest.mark.parametrize("test_length", [5, 10])
def test_a_test_length_that_is_not_longer_is_refused(test_length):
    with pytest.raises(ConfigError, match=rf"above length=10, got {test_length} \(task\.test_l"):
        Parity(test_length=test_length)


@pytest.mark.parametrize("lag", [0, 1, 3, 19])
def test_who_looks_back_by_the_lag_is_always_right(lag):
    data = Echo(lag=lag).load()
    assert data.target_steps == 20 - lag
    for split in (data.train, data.val, data.test):
        heard = split.x.argmax(-1)
        assert torch.equal(split.x.sum(-1), torch.ones_like(heard))
        for step in range(lag, 20):
            assert torch.equal(split.y[:, step - lag], heard[:, step - lag])
        assert split.y.shape == (len(split), 20 - lag)


def test_the_current_symbol_says_nothing_about_the_echo():
    train = Echo(lag=3).load().train
    now, asked = train.x[:, 3:].argmax(-1).flatten(), train.y.flatten()
    pairs = (4 * now + asked).bincount(minlength=16)
    # 20,400 pairs, 1275 of each: five deviations of a count
    assert (pairs - len(now) / 16).abs().max() < 5 * (len(now) * 15 / 256) ** 0.5


def test_an_echo_after_the_end_is_refused():
    with pytest.raises(ConfigError, match=r"lag must be less than length=20, got 20 \(task\.lag\)"):
        Echo(lag=20)


@pytest.mark.parametrize(
    ("task", "option", "value"),
    [
        (Parity, "length", 0),
        (Parity, "test_length", 0),
        (Parity, "rows", 4),
        (Echo, "length", 0),
        (Echo, "lag", -1),
        (Echo, "symbols", 1),
        (Echo, "rows", 4),
    ],
)
def test_options_out_of_range_are_refused(task, option, value):
    with pytest.raises(ConfigError, match=rf"{option} must be in .*got {value}"):
        task(**{option: value})
