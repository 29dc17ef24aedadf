import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c as of_tensorboard
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from optlab.loggers.crc32c import BLOCK, crc32c, masked, remainders_at


def test_the_checksums_of_the_standard() -> None:
    """RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("length", [4, 8, 100, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 3, 5 * BLOCK])
def test_messages_of_any_length_have_the_checksum_of_tensorboard(length: int) -> None:
    message = np.random.default_rng(length).bytes(length)
    assert crc32c(message) == of_tensorboard(message)
    assert masked(crc32c(message)) == masked_crc32c(message)


@pytest.mark.parametrize("following", [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 7])
def test_a_changed_byte_changes_the_checksum_by_its_remainder(following: int) -> None:
    message = bytearray(5 + following)
    changed = message.copy()
    changed[4] = 0xA7
    (leaves,) = remainders_at(np.array([following]))
    assert crc32c(bytes(message)) ^ crc32c(bytes(changed)) == leaves[0xA7]
