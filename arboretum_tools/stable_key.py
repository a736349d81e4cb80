"""The stable key: an order of ids that looks random and is the same everywhere, for ever.

Every choice of "some of the photos" sorts by (key, id) and takes the first ones. The key is the murmur3
finaliser (https://github.com/aappleby/smhasher, MurmurHash3.cpp, `fmix32`) over both halves of the id and
a salt that depends on what is chosen (the role) and on the user's seed. It is written out three times, in
Python, numpy and SQL, and a property test holds the three together. DuckDB's `hash()` changes between its
versions and Python's between processes, so neither is ever stored.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: What a key chooses. One role never shares its order with another under the same seed.
Role = Literal["holdout", "train", "limit", "shuffle", "fingerprint", "permutation", "side", "episode"]

_MASK = 0xFFFFFFFF

# Keys that are computed at a time: bounds memory, and stays in the processor's cache.
_BLOCK = 65_536

# Products of two 32-bit numbers stay under 2^64, so UBIGINT never overflows. `id` is read as its 64 bits:
# negative ids never reach this (ids are >= 1).
_MACROS = {
    "arboretum_mix1(x)": "(xor(x, x >> 16) * 2246822507::UBIGINT) & 4294967295::UBIGINT",
    "arboretum_mix2(x)": "(xor(x, x >> 13) * 3266489909::UBIGINT) & 4294967295::UBIGINT",
    "arboretum_mix3(x)": "xor(x, x >> 16)",
    "arboretum_fmix32(x)": "arboretum_mix3(arboretum_mix2(arboretum_mix1(x)))",
    "arboretum_high(id, salt)": "arboretum_fmix32(xor(id::UBIGINT >> 32, salt::UBIGINT))",
    "arboretum_key(id, salt)": (
        "arboretum_fmix32(xor(id::UBIGINT & 4294967295::UBIGINT, arboretum_high(id, salt)))"
    ),
}
#: Stands behind a query whose keys are compared outside of it. A macro is text, and each `x` above is written
#: out twice; DuckDB works what repeats out once where a key is a column, but would move the comparison below
#: the column and work it out 64 times. It moves nothing below a LIMIT.
KEYS_FIRST = "LIMIT 9223372036854775807"
#: Statements that make the SQL macro `arboretum_key(id, salt)` and its parts.
SQL_MACROS = tuple(f"CREATE OR REPLACE MACRO {name} AS {body}" for name, body in _MACROS.items())


def salt(role: Role, seed: int) -> int:
    """The 32-bit salt of a role under a seed: first 4 bytes, little-endian, of a SHA-256."""
    text = f"arboretum-key-v1\0{role}\0{seed}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def _fmix32(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _MASK
    return x ^ (x >> 16)


def key(identifier: int, role: Role, seed: int) -> int:
    """The 32-bit key of a 64-bit id (0 <= id < 2^64)."""
    low, high = identifier & _MASK, identifier >> 32
    return _fmix32(low ^ _fmix32(high ^ salt(role, seed)))


def keys(identifiers: NDArray[np.int64], role: Role, seed: int) -> NDArray[np.uint32]:
    """The keys of many ids at once, shape and order as given."""
    import numpy as np

    def fmix32(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
        mask, shift16, shift13 = np.uint64(_MASK), np.uint64(16), np.uint64(13)
        x = ((x ^ (x >> shift16)) * np.uint64(0x85EBCA6B)) & mask
        x = ((x ^ (x >> shift13)) * np.uint64(0xC2B2AE35)) & mask
        return x ^ (x >> shift16)

    given = np.asarray(identifiers)
    found = np.empty(given.shape, np.uint32)
    flat_in, flat_out = given.reshape(-1), found.reshape(-1)
    salted = np.uint64(salt(role, seed))
    # Block by block, because each step makes arrays twice as wide as the result.
    for start in range(0, len(flat_in), _BLOCK):
        wide = flat_in[start : start + _BLOCK].astype(np.uint64)
        high = fmix32((wide >> np.uint64(32)) ^ salted)
        flat_out[start : start + _BLOCK] = fmix32((wide & np.uint64(_MASK)) ^ high)
    return found


def key_sql(column: str, role: Role, seed: int) -> str:
    """The SQL expression of the key of `column`; needs SQL_MACROS on the connection."""
    return f"arboretum_key({column}, {salt(role, seed)})"


def text_id(text: str) -> int:
    """A 64-bit id of a text: first 8 bytes of its SHA-256, big-endian, unsigned."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
