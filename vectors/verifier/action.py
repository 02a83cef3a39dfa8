"""spec/action.md: canonical actions, the variables digest, commitments and openings."""

import hmac

from . import cbor
from .conventions import hash32, label, sha256
from .parts import ENTRY_REF, TARGET, itself
from .refusals import Refused, malformed
from .shape import Check, array, both, byte_string, envelope, record, row, words

MAX_ACTION = 4_194_304
COMMITMENT_KINDS = ("action", "facts", "request", "policy", "text", "output")


def no_zero_byte(value, at) -> None:
    """Bytes of which none is zero."""
    if b"\x00" in value:
        raise malformed(f"{at} contains a zero byte")


def absolute(value, at) -> None:
    """A path from the root."""
    if not value.startswith(b"/"):
        raise malformed(f"{at} is not absolute")


def not_a_variable(value, at) -> None:
    """The name of a variable is neither empty nor contains `=`."""
    if not value or b"=" in value:
        raise malformed(f"{at} is not the name of a variable")


ARGUMENT = both(byte_string(), no_zero_byte)
VARIABLE = both(ARGUMENT, not_a_variable)
PATH = both(byte_string(), absolute, no_zero_byte)
EXEC = record(
    {
        "path": PATH,
        "executable": hash32,
        "argv": array(ARGUMENT, 1, None),
        "names": array(VARIABLE, 0, None, itself),
        "variables": hash32,
        "cwd": PATH,
        "stdin": words("null", "pipe", "file", "tty", "socket"),
    },
    {"interpreter": record({"path": PATH, "digest": hash32})},
)
ORDERS = {
    "revoke": record({"command": words("revoke"), "reason": label, "target": TARGET}),
    "halt": record({"command": words("halt"), "reason": label}),
    "approve": record({"command": words("approve"), "reason": label, "hold": ENTRY_REF, "action": hash32}),
    "reject": record({"command": words("reject"), "reason": label, "hold": ENTRY_REF, "action": hash32}),
    "publish": record({"command": words("publish"), "reason": label, "bundle": hash32}),
}


def order(value, at) -> None:
    """A command to the control plane, which tells by its name whether it has a target."""
    command = value.get("command")
    if type(command) is not str or command not in ORDERS:
        raise malformed(f"{at} has none of the commands {', '.join(sorted(ORDERS))}")
    ORDERS[command](value, at)


KINDS: dict[str, Check] = {"exec": EXEC, "order": order}
VARIABLES = array(row(VARIABLE, ARGUMENT), 0, None, lambda pair: pair[0])
OPENING = row(words(*COMMITMENT_KINDS), byte_string(32), byte_string())


def read_action(data: bytes) -> tuple[str, dict]:
    """Section "Canonical action": the kind and the body."""
    if len(data) > MAX_ACTION:
        raise malformed("an action of more than 4,194,304 bytes")
    value = cbor.read(data, "action")
    envelope(value, "writ.action", KINDS, dict)
    KINDS[value[1]](value[3], value[1])
    return value[1], value[3]


def variables_digest(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """The variables digest of pairs in any order."""
    ordered = [list(pair) for pair in sorted(pairs)]
    VARIABLES(ordered, "variables")
    return sha256(cbor.encode(ordered))


def commitment(kind: str, salt: bytes, value: bytes) -> bytes:
    """Section "Commitment"."""
    return hmac.digest(salt, kind.encode() + b"\x00" + value, "sha256")


def open_commitment(opening: list, held: set[bytes]) -> str | None:
    """Section "Opening": it opens one of the commitments held, and an action, whose kind is returned, is canonical."""
    kind, salt, value = opening
    if commitment(kind, salt, value) not in held:
        raise Refused("commitment_mismatch", f"an opening of kind {kind} opens none of the commitments")
    return read_action(value)[0] if kind == "action" else None


def read_opening(data: bytes, what: str = "opening") -> list:
    """An encoded opening."""
    value = cbor.read(data, what)
    OPENING(value, what)
    return value
