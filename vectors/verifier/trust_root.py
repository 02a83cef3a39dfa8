"""spec/trust-root.md: the file that pins a domain."""

import re
from dataclasses import dataclass

from .conventions import decimal, from_base64, is_origin
from .keys import ED25519, ML_DSA_44
from .ledger import Checkpoint, VerifierKey, judge_signatures, parse_checkpoint, parse_vkey
from .refusals import Refused, malformed

MAX_TRUST_ROOT = 65_536
FIRST_LINE = "writ/trust-root@v1"
DOMAIN = re.compile(r"dom_([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True)
class Ledger:
    """A pinned ledger: the entry hash of its genesis, and key groups by the size they begin at."""

    genesis: bytes
    groups: list[tuple[int, list[VerifierKey]]]

    def keys_for(self, size: int) -> list[VerifierKey]:
        """The group of the largest size not above."""
        return [group for begins, group in self.groups if begins <= size][-1]


@dataclass(frozen=True)
class TrustRoot:
    """What is pinned."""

    domain: bytes
    ledgers: dict[str, Ledger]


class Lines:
    """The lines of the file, taken from the front by their first field."""

    def __init__(self, text: str):
        self.rest = text.split("\n")[:-1][::-1]

    def next_is(self, field: str) -> bool:
        """Whether the next line begins with the field."""
        return bool(self.rest) and self.rest[-1].startswith(field + " ")

    def take(self, field: str) -> str:
        """The value of the next line, which must have this field."""
        if not self.next_is(field):
            raise malformed(f"a trust root without a line {field} in its place")
        value = self.rest.pop()[len(field) + 1 :]
        if not value or " " in value:
            raise malformed(f"the line {field} of a trust root has not two fields")
        return value


def parse_group(lines: Lines, origin: str) -> tuple[int, list[VerifierKey]]:
    """`keys <size>` and two keys, Ed25519 first."""
    begins = decimal(lines.take("keys"), "size of a key group")
    keys = [parse_vkey(lines.take("key")) for _ in range(2)]
    if any(pin.name != origin for pin in keys):
        raise malformed("the name of a verifier key is not the origin of its ledger")
    if [pin.key[0] for pin in keys] != [ED25519, ML_DSA_44]:
        raise malformed("a key group is not Ed25519, then ML-DSA-44")
    if keys[0].id == keys[1].id:
        raise malformed("two keys of a group have one key id")
    return begins, keys


def parse_ledger(lines: Lines) -> tuple[str, Ledger]:
    """`ledger`, `genesis` and one or more groups."""
    origin = lines.take("ledger")
    if not is_origin(origin):
        raise malformed("not an origin in a trust root")
    genesis = from_base64(lines.take("genesis"), "genesis")
    if len(genesis) != 32:
        raise malformed("the entry hash of a genesis is not of 32 bytes")
    groups = [parse_group(lines, origin)]
    while lines.next_is("keys"):
        groups.append(parse_group(lines, origin))
    sizes = [begins for begins, _ in groups]
    if sizes[0] != 0 or any(low >= high for low, high in zip(sizes, sizes[1:])):
        raise malformed("the key groups of a ledger do not begin at 0 and ascend")
    return origin, Ledger(genesis, groups)


def parse_trust_root(data: bytes) -> TrustRoot:
    """The whole file."""
    if len(data) > MAX_TRUST_ROOT:
        raise malformed("a trust root of more than 65,536 bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("a trust root that is not UTF-8") from None
    first = text.partition("\n")[0]
    if first != FIRST_LINE and first.startswith("writ/trust-root@"):
        raise Refused("unsupported_version", f"a trust root {first[:64]!r}")
    if first != FIRST_LINE or not text.endswith("\n"):
        raise malformed("not a trust root of whole lines")
    lines = Lines(text)
    lines.rest.pop()
    domain = DOMAIN.fullmatch(lines.take("domain"))
    if not domain:
        raise malformed("the domain of a trust root is not an id")
    ledgers: dict[str, Ledger] = {}
    while lines.rest or not ledgers:
        origin, ledger = parse_ledger(lines)
        if origin in ledgers:
            raise malformed("a ledger is twice in a trust root")
        ledgers[origin] = ledger
    return TrustRoot(bytes.fromhex(domain[1]), ledgers)


def verify_pinned_checkpoint(note: bytes, trust: TrustRoot) -> Checkpoint:
    """A checkpoint with the keys pinned for its origin and size (spec/writ.md, step 2)."""
    checkpoint = parse_checkpoint(note)
    if checkpoint.origin not in trust.ledgers:
        raise Refused("unknown_authority", "a checkpoint of a ledger that is not pinned")
    judge_signatures(checkpoint, trust.ledgers[checkpoint.origin].keys_for(checkpoint.size))
    return checkpoint
