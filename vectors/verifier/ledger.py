"""spec/ledger.md, "Keys" and "Checkpoint", over C2SP signed notes, checkpoints and cosignatures."""

import re
from dataclasses import dataclass

from .conventions import NOT_IN_KEY_NAME, decimal, from_base64, from_hex, is_origin, sha256
from .keys import ED25519, ML_DSA_44, any_key, verifies
from .refusals import Refused, malformed

MAX_NOTE = 262_144
MAX_LINES = 100
# signed-note: no ASCII control characters (below U+0020) but the newline.
NOT_IN_NOTE = re.compile("[\u0000-\u0009\u000b-\u001f]")


@dataclass(frozen=True)
class VerifierKey:
    """A pinned key: its note name and id, and the key itself with its algorithm byte."""

    name: str
    id: bytes
    key: bytes


def parse_vkey(text: str) -> VerifierKey:
    """A C2SP verifier key, with the name of the ledger whose key it is (spec/trust-root.md)."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not is_origin(parts[0]):
        raise malformed("not the verifier key of a ledger")
    key_id, key = from_hex(parts[1], "key id"), from_base64(parts[2], "verifier key")
    any_key(key, "verifier key")
    if key_id != sha256(parts[0].encode(), b"\n", key)[:4]:
        raise malformed("the key id of a verifier key is not that of its key")
    return VerifierKey(parts[0], key_id, key)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose form holds. `lines` are the signature lines: name and decoded bytes."""

    origin: str
    size: int
    root: bytes
    text: bytes
    lines: list[tuple[str, bytes]]


def signature_line(line: str) -> tuple[str, bytes]:
    """Em dash, name, base64 of key id and signature."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014":
        raise malformed("not a signature line")
    if not parts[1] or NOT_IN_KEY_NAME.search(parts[1]):
        raise malformed("not the name of a key in a signature line")
    signature = from_base64(parts[2], "signature line")
    if len(signature) <= 4:
        raise malformed("a signature line without a key id and a signature")
    return parts[1], signature


def parse_checkpoint(note: bytes) -> Checkpoint:
    """Step 1: the form of the note and of its text."""
    if len(note) > MAX_NOTE:
        raise malformed("a note of more than 262,144 bytes")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("a note that is not UTF-8") from None
    if NOT_IN_NOTE.search(whole):
        raise malformed("a control character in a note")
    text, gap, signatures = whole.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise malformed("a note without signature lines, or not ended by a newline")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_LINES:
        raise malformed("a note of more than 100 signature lines")
    body = text.split("\n")
    if len(body) != 3 or not is_origin(body[0]):
        raise malformed("the text of a checkpoint is not origin, size and root")
    size, root = decimal(body[1], "tree size"), from_base64(body[2], "root")
    if len(root) != 32:
        raise malformed("a root hash that is not of 32 bytes")
    return Checkpoint(body[0], size, root, (text + "\n").encode(), [signature_line(line) for line in lines])


def cosigned_message(checkpoint: Checkpoint) -> bytes:
    """The `cosigned_message` of tlog-cosignature, as narrowed: the ledger itself, timestamp 0, the whole tree."""
    name = checkpoint.origin.encode()
    named = bytes([len(name)]) + name
    numbers = (number.to_bytes(8, "big") for number in (0, 0, checkpoint.size))
    timestamp, start, end = numbers
    return b"subtree/v1\n\x00" + named + timestamp + named + start + end + checkpoint.root


def line_verifies(checkpoint: Checkpoint, key: bytes, signature: bytes) -> bool:
    """Whether a signature, without its key id, is that of the pinned key over the checkpoint."""
    if key[0] == ED25519:
        return verifies(key, checkpoint.text, signature)
    assert key[0] == ML_DSA_44
    return signature[:8] == bytes(8) and verifies(key, cosigned_message(checkpoint), signature[8:])


def judge_signatures(checkpoint: Checkpoint, pins: list[VerifierKey]) -> None:
    """Step 3: every pinned key has exactly one line, and it verifies; lines of other keys are ignored."""
    found = []
    for pin in pins:
        lines = [raw[4:] for name, raw in checkpoint.lines if name == pin.name and raw[:4] == pin.id]
        if len(lines) > 1:
            raise malformed("a pinned key has signed a checkpoint twice")
        found.append((pin, lines))
    if not pins:
        raise Refused("signature_invalid", "no key is pinned")
    for pin, lines in found:
        if not lines or not line_verifies(checkpoint, pin.key, lines[0]):
            raise Refused("signature_invalid", f"algorithm {pin.key[0]}: no signature, or it does not verify")


def verify_checkpoint(note: bytes, ledger: str, pins: list[VerifierKey]) -> Checkpoint:
    """The three steps of section "Checkpoint"."""
    checkpoint = parse_checkpoint(note)
    if checkpoint.origin != ledger:
        raise Refused("unknown_authority", "a checkpoint of another ledger")
    judge_signatures(checkpoint, pins)
    return checkpoint
