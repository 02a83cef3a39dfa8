"""spec/ledger.md, "Keys and the one verification rule": strict Ed25519."""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)
# The y of the points of small order: 0, 1, p-1, and the two of order 8.
SMALL_ORDER = frozenset(
    int.from_bytes(bytes.fromhex(encoding), "little")
    for encoding in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)


def decompress(encoded: bytes) -> tuple[int, int] | None:
    """The affine point of a canonical encoding, None if there is none."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if len(encoded) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_MINUS_ONE % P
    if v * x * x % P != u:
        return None
    if x == 0 and sign:
        return None
    return (P - x if x & 1 != sign else x), y


def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
    """The sum of two affine points (the complete addition law of RFC 8032, section 5.1)."""
    (x1, y1), (x2, y2) = one, two
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P)
    return x % P, y % P


def key_is_valid(key: bytes) -> bool:
    """The rule for public keys: below p, and of none of the small orders. It need not be a point of the curve."""
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    return len(key) == 32 and y < P and y not in SMALL_ORDER


@lru_cache(maxsize=4096)
def is_point(key: bytes) -> bool:
    """Whether the key is a point of the curve."""
    return decompress(key) is not None


def verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    """The rule for signatures.

    What is judged here: the key, the lengths, S below L. The rest is the equation without the cofactor and the
    comparison of the encoding of its left side with the bytes R, which is how OpenSSL verifies; the tests
    compare it with the equation in plain integers, for points and encodings where implementations differ.
    """
    if not key_is_valid(key) or not is_point(key) or len(signature) != 64:
        return False
    if int.from_bytes(signature[32:], "little") >= L:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
