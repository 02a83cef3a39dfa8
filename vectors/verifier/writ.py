"""spec/writ.md: a grant with the proof that it is in the ledger."""

from dataclasses import dataclass

from .conventions import decimal, entry_hash, from_base64
from .entry import Entry, read_entry
from .refusals import Refused, malformed
from .tree import judge_inclusion
from .trust_root import TrustRoot, verify_pinned_checkpoint

MAX_WRIT = 524_288
MAX_PROOF = 63
FIRST_LINE = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Proof:
    """A tlog-proof whose form holds."""

    entry: bytes
    index: int
    hashes: list[bytes]
    checkpoint: bytes


@dataclass(frozen=True)
class Writ:
    """A verified writ."""

    entry: Entry
    index: int
    size: int
    origin: str

    def result(self) -> dict:
        """The `ok` of vectors/README.md."""
        return {
            "index": self.index,
            "size": self.size,
            "hash": self.entry.hash.hex(),
            "id": self.entry.body["id"].hex(),
        }


def field(line: str, name: str) -> str:
    """The value of a line `name value`."""
    if not line.startswith(name + " "):
        raise malformed(f"a tlog-proof without a line {name} in its place")
    return line[len(name) + 1 :]


def parse_proof(data: bytes) -> Proof:
    """Step 1: the form of the tlog-proof; that of the checkpoint is judged in step 2."""
    if len(data) > MAX_WRIT:
        raise malformed("a writ of more than 524,288 bytes")
    head, gap, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise malformed("a tlog-proof that is not ASCII before its checkpoint") from None
    if not gap or lines[0] != FIRST_LINE or not 3 <= len(lines) <= 3 + MAX_PROOF:
        raise malformed("not a tlog-proof with an extra line")
    entry = from_base64(field(lines[1], "extra"), "extra")
    if not entry:
        raise malformed("an extra line without an entry")
    index = decimal(field(lines[2], "index"), "index")
    hashes = [from_base64(line, "hash of the proof") for line in lines[3:]]
    if any(len(one) != 32 for one in hashes):
        raise malformed("a hash of the proof is not of 32 bytes")
    return Proof(entry, index, hashes, checkpoint)


def verify_writ(data: bytes, trust: TrustRoot) -> Writ:
    """Section "Verification", step by step."""
    if not data:
        raise Refused("missing_writ", "no bytes")
    proof = parse_proof(data)
    checkpoint = verify_pinned_checkpoint(proof.checkpoint, trust)
    judge_inclusion(entry_hash(proof.entry), proof.index, checkpoint.size, checkpoint.root, proof.hashes)
    entry = read_entry(proof.entry, checkpoint.origin)
    if entry.type != "grant":
        raise Refused("not_a_writ", f"a proved {entry.type}")
    return Writ(entry, proof.index, checkpoint.size, checkpoint.origin)
