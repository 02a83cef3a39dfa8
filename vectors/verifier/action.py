"""spec/action.md: canonical actions, the variables digest, commitments and openings."""

import hmac

from . import cbor
from .conventions import NAME, hash32, label, name, sha256
from .keys import ed25519_key
from .parts import ARGUMENT, ENTRY_REF, ERASED, TARGET, itself, no_zero_byte, of
from .refusals import Refused, malformed
from .scope import SCOPE
from .shape import Check, array, both, byte_string, envelope, record, row, text, uint, words

MAX_ACTION = 4_194_304
MAX_QUESTION_TEXT = 1_024
PRINCIPAL_TYPES = ("User", "Agent", "Workload")
COMMITMENT_KINDS = ("action", "facts", "request", "policy", "entities", "text", "output")


def absolute(value, at) -> None:
    """A path from the root."""
    if not value.startswith(b"/"):
        raise malformed(f"{at} is not absolute")


def not_a_variable(value, at) -> None:
    """The name of a variable is neither empty nor contains `=`."""
    if not value or b"=" in value:
        raise malformed(f"{at} is not the name of a variable")


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
PRINCIPAL_NAME = record({"type": name, "id": name})
ORDERS = {
    "revoke": record({"command": words("revoke"), "reason": label, "target": TARGET}),
    "halt": record({"command": words("halt"), "reason": label}),
    "approve": record({"command": words("approve"), "reason": label, "hold": ENTRY_REF, "action": hash32}),
    "reject": record({"command": words("reject"), "reason": label, "hold": ENTRY_REF, "action": hash32}),
    "withdraw": record({"command": words("withdraw"), "reason": label, "hold": ENTRY_REF, "action": hash32}),
    "mandate": record({"command": words("mandate"), "reason": label, "to": PRINCIPAL_NAME, "scope": SCOPE}),
    "delegate": record(
        {"command": words("delegate"), "reason": label, "to": PRINCIPAL_NAME, "scope": SCOPE, "parent": ENTRY_REF}
    ),
    "publish": record({"command": words("publish"), "reason": label, "bundle": hash32}),
    "entities": record({"command": words("entities"), "reason": label, "change": hash32}),
    "erase": record({"command": words("erase"), "reason": label, "erased": ERASED}),
    "enrol": record(
        {
            "command": words("enrol"),
            "reason": label,
            "gateway": name,
            "epoch": uint(1),
            "key": ed25519_key,
            "groups": array(name, ascending=itself),
            "asserts": array(PRINCIPAL_NAME, ascending=of("type", "id")),
        }
    ),
}


def order(value, at) -> None:
    """A command to the control plane, which tells by its name whether it has a target."""
    command = value.get("command")
    if type(command) is not str or command not in ORDERS:
        raise malformed(f"{at} has none of the commands {', '.join(sorted(ORDERS))}")
    ORDERS[command](value, at)


def question_text(value, at) -> None:
    """A type, id or name: any text of a bounded length."""
    text(value, at)
    if len(value.encode()) > MAX_QUESTION_TEXT:
        raise malformed(f"{at} is longer than 1,024 bytes")


def json_value(value, at) -> None:
    """What JSON can say: no byte string at any depth."""
    if type(value) is bytes:
        raise malformed(f"{at} is a byte string")
    for inner in value.values() if type(value) is dict else value if type(value) is list else ():
        json_value(inner, at)


def members(value, at) -> None:
    """Members of an object."""
    if type(value) is not dict:
        raise malformed(f"{at} is not a map")
    json_value(value, at)


PARTY = {"type": question_text, "properties": members}
VERB = record({"name": question_text, "properties": members})
PAGE = record({"limit": uint()}, {"after": question_text})
ASKS = ("evaluation", "subjects", "resources", "actions")


def advice(value, at) -> None:
    """A question about somebody, which tells by `asks` which part is open."""
    asks = value.get("asks")
    if type(asks) is not str or asks not in ASKS:
        raise malformed(f"{at} asks none of {', '.join(ASKS)}")
    fields: dict[str, Check] = {"asks": words(asks), "context": members}
    for part, searched in (("subject", "subjects"), ("resource", "resources")):
        fields[part] = record(PARTY if asks == searched else PARTY | {"id": question_text})
    if asks != "actions":
        fields["action"] = VERB
    if asks != "evaluation":
        fields["page"] = PAGE
    record(fields)(value, at)


def principal_of(question: dict) -> tuple[str, str] | None:
    """The principal that a question is about, if it is about one."""
    subject = question["subject"]
    named = "id" in subject and NAME.fullmatch(subject["id"])
    return (subject["type"], subject["id"]) if named and subject["type"] in PRINCIPAL_TYPES else None


KINDS: dict[str, Check] = {"exec": EXEC, "order": order, "advice": advice}
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
