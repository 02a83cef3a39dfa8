"""spec/statement.md: what gateways, root members, principals and holders sign, read from the bytes that were signed."""

from dataclasses import dataclass

from . import cbor
from .action import read_action
from .conventions import hash32, id16, label, name, refusal_code, set_path, sha256
from .keys import (
    AUTHORS,
    AUTHORS_RELATION,
    KEY_PAIR,
    ROOT,
    ROOT_RELATION,
    ed25519_key,
    fingerprint,
    verifies,
)
from .message import Message, is_message, judge_message_signature, read_message
from .parts import ADMITTED, ENTRY_REF, audience, itself
from .refusals import Refused, malformed
from .shape import array, both, byte_string, envelope, kinds, record, relation, row, text, uint

SIGNED_PREFIX = b"writ.signed/v1\n"

RESULT = kinds(
    {
        "exited": {"status": uint(0, 255)},
        "signaled": {"signal": uint(1, 64)},
        "terminated": {"code": refusal_code},
        "unknown": {},
    }
)
GATEWAY_COMMON = {"gateway": name, "epoch": uint(1), "seq": uint(1), "time_ms": uint()}
GATEWAY_KINDS = {
    "spent": record(GATEWAY_COMMON | {"writ": hash32, "index": uint(), "execution": id16, "use": uint(1)}),
    "started": record(
        GATEWAY_COMMON | {"writ": hash32, "execution": id16, "action": hash32, "surroundings": hash32}
    ),
    "ended": record(GATEWAY_COMMON | {"writ": hash32, "execution": id16, "result": RESULT}),
    "labelled": record(
        GATEWAY_COMMON | {"writ": hash32, "execution": id16, "labels": array(label, 1, ascending=itself)}
    ),
    "refused": record(GATEWAY_COMMON | {"code": refusal_code}, {"writ": hash32, "action": hash32}),
    "heartbeat": record(GATEWAY_COMMON | {"size": uint(), "root": hash32}),
}
ROOT_COMMON = {"domain": id16, "id": id16, "time_ms": uint()}
ROOT_KINDS = {
    "halt": record(ROOT_COMMON | {"reason": label}),
    "resume": record(ROOT_COMMON | {"reason": label}),
    "ledger-keys": record(ROOT_COMMON | {"keys": KEY_PAIR}),
    "root-keys": both(record(ROOT_COMMON | ROOT), ROOT_RELATION),
    "policy-authors": both(record(ROOT_COMMON | AUTHORS), AUTHORS_RELATION),
}


def action(value, at) -> None:
    """A byte string that holds an encoded action, judged by the codes of its page."""
    byte_string()(value, at)
    read_action(value)


REQUEST_COMMON = {
    "key": id16,
    "salt": byte_string(32),
    "action": action,
    "action_salt": byte_string(32),
    "time_ms": uint(),
}
REQUEST_OPTIONAL = {"principal": record({"type": name, "id": name})}
SURROUNDINGS = array(row(label, text), ascending=lambda pair: pair[0])
REQUEST_KINDS = {
    "authorize": both(
        record(
            REQUEST_COMMON | {"holder": ed25519_key, "audience": audience, "surroundings": SURROUNDINGS},
            REQUEST_OPTIONAL | {"admit": ADMITTED, "hold": ENTRY_REF, "mandate": ENTRY_REF},
        ),
        relation(
            lambda body: "admit" not in body or "gateway" in body["audience"],
            "as in a grant, only a gateway can be admitted",
        ),
        relation(lambda body: read_action(body["action"])[0] != "advice", "its action is a question"),
    ),
    "order": both(
        record(REQUEST_COMMON, REQUEST_OPTIONAL),
        relation(lambda body: read_action(body["action"])[0] == "order", "its action is not an order"),
    ),
    "shadow": both(
        record(
            REQUEST_COMMON | {"gateway": name, "surroundings": SURROUNDINGS}, REQUEST_OPTIONAL | {"mandate": ENTRY_REF}
        ),
        relation(lambda body: read_action(body["action"])[0] == "exec", "its action is not an execution"),
    ),
}
PRESENTATION_KINDS = {
    "presented": record(
        {
            "writ": hash32,
            "gateway": name,
            "epoch": uint(1),
            "nonce": byte_string(32),
            "action": hash32,
            "time_ms": uint(),
        }
    )
}
MAX_MANIFEST = 57_344
LISTED = row(set_path, uint(), hash32)
MANIFEST_KINDS = {
    "policy-set": both(
        record(
            {
                "domain": id16,
                "accepts": array(name, ascending=itself),
                "epoch": uint(1),
                "set": hash32,
                "files": array(LISTED, 1, 256, ascending=lambda listed: listed[0]),
                "from_ms": uint(),
                "until_ms": uint(),
                "time_ms": uint(),
            },
            {"replaces": hash32},
        ),
        relation(lambda body: body["from_ms"] < body["until_ms"], "its window is empty"),
        relation(lambda body: ("replaces" in body) == (body["epoch"] > 1), "what it replaces goes with epoch 2 and later"),
    )
}
KINDS = GATEWAY_KINDS | ROOT_KINDS | REQUEST_KINDS | PRESENTATION_KINDS | MANIFEST_KINDS

SIGNATURES = array(row(hash32, byte_string(64, 2420)), 1, 32, ascending=lambda signature: signature[0])


@dataclass(frozen=True)
class Signed:
    """A well-formed envelope; neither its payload nor its signatures are judged yet."""

    payload: bytes
    signatures: list


@dataclass(frozen=True)
class Statement:
    """A statement whose form holds; its signatures are not judged yet."""

    kind: str
    body: dict
    signed: Signed | Message

    def message(self) -> bytes:
        """What each signature is made over."""
        return SIGNED_PREFIX + self.signed.payload


def read_signed(data: bytes) -> Signed:
    """Section "Envelope": the form of `signed`."""
    value = cbor.read(data, "signed statement")
    envelope(value, "writ.signed", None, bytes, list)
    SIGNATURES(value[3], "signatures")
    return Signed(value[2], value[3])


def read_signed_request(data: bytes) -> Signed | Message:
    """Section "Requests": either of the two signed forms."""
    return read_message(data) if is_message(data) else read_signed(data)


def read_payload(signed: Signed | Message, ledger: str, allowed: tuple[str, ...]) -> Statement:
    """Section "Envelope": the form of `payload`, which is of one of the kinds and for this ledger."""
    kind, body = read_bare(signed.payload, ledger, allowed)
    return Statement(kind, body, signed)


def read_bare(payload: bytes, ledger: str, allowed: tuple[str, ...]) -> tuple[str, dict]:
    """The kind and body of a payload, in an envelope or without."""
    value = cbor.read(payload, "statement")
    envelope(value, "writ.statement", KINDS, str, dict)
    _, kind, _, where, body = value
    if kind not in allowed:
        raise malformed(f"a statement {kind} where one of {', '.join(allowed)} belongs")
    if where != ledger:
        raise Refused("unknown_authority", "a statement for another ledger")
    KINDS[kind](body, kind)
    return kind, body


def judge_signature(statement: Statement, key: bytes) -> None:
    """Exactly one signature, by the key of the gateway's enrolment, of the principal or of the holder."""
    if isinstance(statement.signed, Message):
        return judge_message_signature(statement.signed, key)
    if len(statement.signed.signatures) != 1 or statement.signed.signatures[0][0] != fingerprint(key):
        raise Refused("unknown_authority", "not signed by exactly the key it must be signed by")
    if not verifies(key, statement.message(), statement.signed.signatures[0][1]):
        raise Refused("signature_invalid", "the signature does not verify")


def judge_root_signatures(statement: Statement, threshold: int, members: list[list[bytes]]) -> None:
    """Section "Root statements": enough whole members, and nobody else."""
    keys = {fingerprint(key): key for pair in members for key in pair}
    for signer, _ in statement.signed.signatures:
        if signer not in keys:
            raise Refused("unknown_authority", "signed by a key that no root member holds")
    for signer, signature in statement.signed.signatures:
        if not verifies(keys[signer], statement.message(), signature):
            raise Refused("signature_invalid", "a root member's signature does not verify")
    signers = {keys[signer] for signer, _ in statement.signed.signatures}
    whole = sum(all(key in signers for key in pair) for pair in members)
    half = sum(any(key in signers for key in pair) for pair in members) - whole
    if half:
        raise Refused("signature_invalid", "only half of a root member's pair has signed")
    if whole < threshold:
        raise Refused("signature_invalid", f"{whole} root members have signed, {threshold} must")


def judge_root_statement(statement: Statement, domain: bytes, threshold: int, members: list) -> None:
    """A root statement is the domain's own and signed."""
    if statement.body["domain"] != domain:
        raise Refused("unknown_authority", "a root statement for another domain")
    judge_root_signatures(statement, threshold, members)


def read_manifest(signed: Signed, ledger: str) -> Statement:
    """Section "Policy sets": the form of a manifest for this ledger."""
    statement = read_payload(signed, ledger, tuple(MANIFEST_KINDS))
    if len(signed.payload) > MAX_MANIFEST:
        raise malformed("a policy manifest of more than 57,344 bytes")
    return statement


def judge_manifest_signatures(statement: Statement, domain: bytes, threshold: int, authors: list[bytes]) -> None:
    """Section "Policy sets": the domain's own, signed by enough authors and nobody else."""
    if statement.body["domain"] != domain:
        raise Refused("unknown_authority", "a policy manifest for another domain")
    keys = {fingerprint(key): key for key in authors}
    for signer, signature in statement.signed.signatures:
        if signer not in keys:
            raise Refused("unknown_authority", "signed by a key that no policy author holds")
        if not verifies(keys[signer], statement.message(), signature):
            raise Refused("signature_invalid", "a policy author's signature does not verify")
    if len(statement.signed.signatures) < threshold:
        raise Refused("signature_invalid", "too few policy authors have signed")


def judge_manifest_place(body: dict, epoch: int, active: bytes | None, now_ms: int) -> None:
    """Section "Policy sets": it follows the set in force (epoch 0: there is none), within its window."""
    if body["epoch"] != epoch + 1:
        raise Refused("policy_stale", "the manifest is for another epoch than the next one")
    if body.get("replaces") != active:
        raise Refused("policy_mismatch", "the manifest replaces another set than that in force")
    if now_ms < body["from_ms"]:
        raise Refused("not_yet_valid", "before the window of the manifest")
    if now_ms >= body["until_ms"]:
        raise Refused("expired", "after the window of the manifest")


def read_request(data: bytes, ledger: str, key: bytes | None) -> tuple[str, dict]:
    """Section "Requests": signed by the principal's key, or bare where the caller is known otherwise."""
    if key is None:
        return read_bare(data, ledger, tuple(REQUEST_KINDS))
    statement = read_payload(read_signed_request(data), ledger, tuple(REQUEST_KINDS))
    judge_signature(statement, key)
    return statement.kind, statement.body


def read_presentation(data: bytes, ledger: str, holder: bytes) -> dict:
    """Section "Presentation": signed by the holder that the grant names."""
    statement = read_payload(read_signed(data), ledger, tuple(PRESENTATION_KINDS))
    judge_signature(statement, holder)
    return statement.body


def surroundings_digest(pairs: list) -> bytes:
    """Section "Requests": the digest of the `surroundings` array, as it stands there."""
    SURROUNDINGS(pairs, "surroundings")
    return sha256(cbor.encode(pairs))
