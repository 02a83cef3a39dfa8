"""spec/README.md, "A key", spec/ledger.md, "Keys and the one verification rule", and the keys of ledger and root."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from . import ed25519
from .conventions import sha256
from .refusals import malformed
from .shape import array, both, relation, row, uint

ED25519, ML_DSA_44 = 0x01, 0x06
KEY_BYTES = {ED25519: 32, ML_DSA_44: 1312}
SIGNATURE_BYTES = {ED25519: 64, ML_DSA_44: 2420}


def key_of(*algorithms: int):
    """The check of a key, of one of the algorithms; it is refused where it is read."""

    def check(value, at):
        if type(value) is not bytes or not value or value[0] not in algorithms:
            raise malformed(f"{at} is not a key of algorithm {algorithms}")
        if len(value) != 1 + KEY_BYTES[value[0]]:
            raise malformed(f"{at} is a key of a wrong length")
        if value[0] == ED25519 and not ed25519.key_is_valid(value[1:]):
            raise malformed(f"{at} is an Ed25519 key that breaks the rule")

    return check


ed25519_key = key_of(ED25519)
ml_dsa_44_key = key_of(ML_DSA_44)
any_key = key_of(ED25519, ML_DSA_44)

# The keys of a ledger or of a root member; the root members, as in genesis and in the root statement `root-keys`.
KEY_PAIR = row(ed25519_key, ml_dsa_44_key)
ROOT = {"threshold": uint(1, 16), "members": array(KEY_PAIR, 1, 16)}
ROOT_RELATION = both(
    relation(lambda body: body["threshold"] <= len(body["members"]), "the threshold is over the members"),
    relation(
        lambda body: len({key for pair in body["members"] for key in pair}) == 2 * len(body["members"]),
        "the members' keys are not all different",
    ),
)


# The authors of policy sets, as in the root statement `policy-authors`.
AUTHORS = {"threshold": uint(1, 16), "keys": array(ed25519_key, 1, 16)}
AUTHORS_RELATION = both(
    relation(lambda body: body["threshold"] <= len(body["keys"]), "the threshold is over the authors"),
    relation(lambda body: len(set(body["keys"])) == len(body["keys"]), "the authors' keys are not all different"),
)


def fingerprint(key: bytes) -> bytes:
    """The SHA-256 of the key's bytes, algorithm included."""
    return sha256(key)


def ml_dsa_44_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """FIPS 204 ML-DSA-44 with an empty context string."""
    if len(public) != KEY_BYTES[ML_DSA_44] or len(signature) != SIGNATURE_BYTES[ML_DSA_44]:
        return False
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's, by the rule of its algorithm."""
    if key[0] == ED25519:
        return ed25519.verifies(key[1:], message, signature)
    return ml_dsa_44_verifies(key[1:], message, signature)
