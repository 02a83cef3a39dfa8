"""spec/ledger.md, "Proofs": RFC 6962 sections 2.1.1 and 2.1.2, the number of hashes judged first."""

from .conventions import sha256
from .refusals import Refused

EMPTY_ROOT = sha256(b"")


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01", left, right)


def inclusion_length(index: int, size: int) -> int:
    """How many hashes the inclusion proof of a leaf has."""
    below = (index ^ (size - 1)).bit_length()
    return below + (index >> below).bit_count()


def judge_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: list[bytes]) -> None:
    """The leaf hash is at `index` of the tree."""
    if index >= size:
        raise Refused("proof_invalid", f"index {index} is not in a tree of {size}")
    if len(proof) != inclusion_length(index, size):
        raise Refused("proof_invalid", f"{len(proof)} hashes, {inclusion_length(index, size)} are needed")
    at, last, value = index, size - 1, leaf
    for sibling in proof:
        while not at & 1 and at == last:
            at, last = at >> 1, last >> 1
        value = node(sibling, value) if at & 1 else node(value, sibling)
        at, last = at >> 1, last >> 1
    if value != root:
        raise Refused("proof_invalid", "the inclusion proof leads to another root")


def split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def consistency_length(old: int, size: int) -> int:
    """How many hashes the consistency proof between two sizes has, for 0 < old < size."""
    count, whole = 0, True
    while old != size:
        count += 1
        left = split(size)
        if old <= left:
            size = left
        else:
            old, size, whole = old - left, size - left, False
    return count if whole else count + 1


def subtree(old: int, size: int, whole: bool, old_root: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of the old and of the new subtree (RFC 6962 SUBPROOF, read from its end); 64 levels at most."""
    if old == size:
        known = old_root if whole else proof[-1]
        return known, known
    left = split(size)
    if old <= left:
        one, two = subtree(old, left, whole, old_root, proof[:-1])
        return one, node(two, proof[-1])
    one, two = subtree(old - left, size - left, False, old_root, proof[:-1])
    return node(proof[-1], one), node(proof[-1], two)


def judge_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: list[bytes]) -> None:
    """The tree of `size` begins with the tree of `old`."""
    if old > size:
        raise Refused("proof_invalid", "the old tree is larger than the new one")
    needed = 0 if old in (0, size) else consistency_length(old, size)
    if len(proof) != needed:
        raise Refused("proof_invalid", f"{len(proof)} hashes, {needed} are needed")
    if (old == 0 and old_root != EMPTY_ROOT) or (size == 0 and root != EMPTY_ROOT):
        raise Refused("proof_invalid", "not the root of an empty tree")
    if old == 0:
        return
    if subtree(old, size, True, old_root, proof) != (old_root, root):
        raise Refused("proof_invalid", "the consistency proof leads to other roots")
