"""spec/entities.md: entities, the root over them, and changes."""

import hmac
import re

from . import cbor
from .conventions import hash32, sha256
from .refusals import Refused, malformed
from .shape import array, byte_string, envelope, record, row

MAX_CHANGE = 4_194_304
MAX_ENTITY = 65_535
INTEGERS = range(-(1 << 63), 1 << 63)
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def kind(value, at) -> None:
    """The type of an entity."""
    if type(value) is not str or len(value) > 255 or not all(WORD.fullmatch(word) for word in value.split("::")):
        raise malformed(f"{at} is not a type")


def ident(value, at) -> None:
    """The id of an entity. Control characters are those of Unicode's category Cc."""
    if type(value) is not str or not 1 <= len(value.encode()) <= 4096:
        raise malformed(f"{at} is not text of 1 to 4096 bytes")
    if any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 for one in value):
        raise malformed(f"{at} holds control characters")


def attribute(value, at) -> None:
    """A value of an attribute or tag."""
    if type(value) in (str, bool):
        return
    if type(value) is int and value in INTEGERS:
        return
    if type(value) is list:
        for number, one in enumerate(value):
            attribute(one, f"{at}[{number}]")
        return
    attributes(value, at)


def attributes(value, at) -> None:
    """A map of values."""
    if type(value) is not dict:
        raise malformed(f"{at} is not a value that an entity has")
    for name, one in value.items():
        attribute(one, f"{at}.{name[:64]}")


def tags(value, at) -> None:
    """A map of values that is not empty."""
    attributes(value, at)
    if not value:
        raise malformed(f"{at} is empty")


def as_bytes(uid: list) -> tuple[bytes, bytes]:
    """A uid as it is compared."""
    return uid[0].encode(), uid[1].encode()


UID = row(kind, ident)
UIDS = array(UID, 0, None, as_bytes)
FIELDS = record({"id": ident, "type": kind, "attrs": attributes, "parents": UIDS}, {"tags": tags})


def entity(value, at) -> None:
    """An entity, which is not too long."""
    FIELDS(value, at)
    if len(cbor.encode(value)) > MAX_ENTITY:
        raise malformed(f"{at} has more than 65,535 bytes")


def uid_of(one: dict) -> list:
    """What an entity is called."""
    return [one["type"], one["id"]]


CHANGE = record(
    {
        "put": array(entity, 0, None, lambda one: as_bytes(uid_of(one))),
        "removed": UIDS,
        "salt": byte_string(32),
    },
    {"base": hash32},
)


def read_change(data: bytes) -> dict:
    """Section "Change"."""
    if len(data) > MAX_CHANGE:
        raise malformed("a change of more than 4,194,304 bytes")
    value = cbor.read(data, "change of entities")
    envelope(value, "writ.entities", None, dict)
    CHANGE(value[2], "change")
    put = {as_bytes(uid_of(one)) for one in value[2]["put"]}
    if any(as_bytes(uid) in put for uid in value[2]["removed"]):
        raise malformed("an entity is put and removed")
    return value[2]


def key_of(one: dict) -> bytes:
    """Its place in the tree."""
    return sha256(cbor.encode(uid_of(one)))


def root(entities: list[dict], depth: int = 0) -> bytes:
    """Section "Root"."""
    if not entities:
        return sha256(b"")
    if len(entities) == 1:
        return sha256(b"\x00" + cbor.encode(entities[0]))
    sides: tuple[list, list] = ([], [])
    for one in entities:
        sides[key_of(one)[depth // 8] >> (7 - depth % 8) & 1].append(one)
    return sha256(b"\x01" + root(sides[0], depth + 1) + root(sides[1], depth + 1))


def snapshots(changes: list[bytes]) -> list[dict]:
    """Section "In force": after each change its digest, and how many entities there are."""
    held: dict[tuple, dict] = {}
    told, before = [], sha256(b"")
    for data in changes:
        change = read_change(data)
        if change.get("base", before) != before:
            raise Refused("facts_changed", "a change of another snapshot than is in force")
        for uid in change["removed"]:
            held.pop(as_bytes(uid), None)
        for one in change["put"]:
            held[as_bytes(uid_of(one))] = one
        top = root(list(held.values()))
        before = hmac.digest(change["salt"], top, "sha256")
        told.append({"snapshot": before.hex(), "root": top.hex(), "count": len(held)})
    return told
