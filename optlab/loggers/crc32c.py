"""The checksum of TensorBoard's records, for one record or for thousands of one form at once.

CRC-32C is linear: the register after a message is the exclusive or of what each byte leaves of
itself, and that depends on nothing but the byte and the number of bytes after it. A table of it
turns the loop over bytes into one gather, and records that differ in a few bytes need only those.

Source: G. Castagnoli, S. Braeuer, M. Herrmann (1993), polynomial 0x1EDC6F41; the mask is that of
TensorFlow's record files.
"""

import functools

import numpy as np
import numpy.typing as npt

BLOCK = 1024  # bytes that are taken at once; the table has 256 entries for each
REVERSED_POLYNOMIAL = 0x82F63B78
ALL_ONES = 0xFFFFFFFF
MASK = 0xA282EAD8


@functools.cache
def remainders() -> npt.NDArray[np.uint32]:
    """Return what each value of a byte leaves in the register, (BLOCK, 256).

    The last row is for the last byte of a message, the one before it for the last but one.
    """
    of_byte: npt.NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = np.where(of_byte & 1, np.uint32(REVERSED_POLYNOMIAL), np.uint32(0))
        of_byte = np.bitwise_xor(of_byte >> np.uint32(1), odd)
    table = np.empty((BLOCK, 256), np.uint32)
    table[-1] = of_byte
    for row in range(BLOCK - 2, -1, -1):
        after = table[row + 1]
        table[row] = (after >> 8) ^ of_byte[after & 255]
    return table


def crc32c(message: bytes) -> int:
    """Return the checksum of a message of at least four bytes."""
    # Zeros in front of a message, and the register's first value in it, change nothing.
    padding = -len(message) % BLOCK if len(message) > BLOCK else 0
    data = np.frombuffer(bytes(padding) + message, np.uint8).copy()
    data[padding : padding + 4] ^= 255
    register = 0
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        block[:4] ^= np.frombuffer(register.to_bytes(4, "little"), np.uint8)
        own = remainders()[-len(block) :]
        register = int(np.bitwise_xor.reduce(own[np.arange(len(block)), block]))
    return register ^ ALL_ONES


def remainders_at(following: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Return what bytes leave that have so many bytes after them, (bytes, 256)."""
    table = remainders()
    found = table[-1 - following % BLOCK]
    for blocks in range(int(following.max()) // BLOCK):
        further = following // BLOCK > blocks
        register = found[further]
        found[further] = np.bitwise_xor.reduce(
            [table[i][(register >> np.uint32(8 * i)) & 255] for i in range(4)]
        )
    return found


def masked(crc: int) -> int:
    """Return a checksum as record files hold it."""
    return ((crc >> 15 | crc << 17) + MASK) & ALL_ONES
