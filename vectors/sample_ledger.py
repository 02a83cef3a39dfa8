"""A ledger built from the pages of spec/, with keys of its own, for the tests of the second verifier."""

import base64
import hashlib
import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from verifier import cbor, tree
from verifier.action import commitment, variables_digest
from verifier.conventions import entry_hash, sha256
from verifier.refusals import Refused
from verifier.trust_root import parse_trust_root

ORIGIN = "ledger.example/one"
DOMAIN = b"D" * 16


class Case(unittest.TestCase):
    """A test that expects refusals by their code."""

    def refused(self, code: str, run, *arguments) -> None:
        with self.assertRaises(Refused) as caught:
            run(*arguments)
        self.assertEqual(caught.exception.code, code, caught.exception.why)


def ident(text: str) -> bytes:
    return sha256(text.encode())[:16]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Key:
    """A signing key with its bytes as the pages have them."""

    def __init__(self, kind):
        self.private = kind.generate()
        self.bytes = bytes([1 if kind is Ed25519PrivateKey else 6]) + self.private.public_key().public_bytes_raw()

    def vkey(self) -> str:
        return f"{ORIGIN}+{self.note_id().hex()}+{b64(self.bytes)}"

    def note_id(self) -> bytes:
        return sha256(ORIGIN.encode(), b"\n", self.bytes)[:4]


def pair() -> list[Key]:
    return [Key(Ed25519PrivateKey), Key(MLDSA44PrivateKey)]


LEDGER, MEMBERS, GATEWAY, HOLDER = pair(), [pair(), pair()], Key(Ed25519PrivateKey), Key(Ed25519PrivateKey)
# The key of the gateway `other`.
OTHER = Key(Ed25519PrivateKey)
PRINCIPAL = {"type": "user", "id": "ann", "auth": "oidc"}
REQUEST = {"key": ident("request"), "digest": sha256(b"request")}
SALT = b"s" * 32
ACTION = cbor.encode(
    [
        "writ.action",
        "exec",
        1,
        {
            "path": b"/bin/true",
            "executable": sha256(b"/bin/true"),
            "argv": [b"true", b"\xff"],
            "names": [b"A", b"B"],
            "variables": variables_digest([(b"B", b"2"), (b"A", b"1")]),
            "cwd": b"/",
            "stdin": "null",
        },
    ]
)
ACTION_DIGEST = commitment("action", SALT, ACTION)


def ordering(body: dict) -> bytes:
    """An encoded order."""
    return cbor.encode(["writ.action", "order", 1, body])


def signed(kind: str, body: dict, signers: list[Key], origin: str = ORIGIN, version: int = 1) -> bytes:
    payload = cbor.encode(["writ.statement", kind, version, origin, body])
    made = [[sha256(key.bytes), key.private.sign(b"writ.signed/v1\n" + payload)] for key in signers]
    return cbor.encode(["writ.signed", 1, payload, sorted(made)])


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    if not leaves:
        return hashlib.sha256().digest()
    k = tree.split(len(leaves))
    return sha256(b"\x01", root_of(leaves[:k]), root_of(leaves[k:]))


def path(leaves: list[bytes], m: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = tree.split(len(leaves))
    if m < k:
        return path(leaves[:k], m) + [root_of(leaves[k:])]
    return path(leaves[k:], m - k) + [root_of(leaves[:k])]


def subproof(leaves: list[bytes], m: int, whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = tree.split(len(leaves))
    if m <= k:
        return subproof(leaves[:k], m, whole) + [root_of(leaves[k:])]
    return subproof(leaves[k:], m - k, False) + [root_of(leaves[:k])]


class World:
    """A ledger that is built entry by entry; batches are sealed where `seal` is called."""

    def __init__(self, uses: int = 2, home: str = ORIGIN):
        self.entries: list[bytes] = []
        self.control: list[bytes] = []
        self.batch_at = self.batch = self.seq = 0
        self.at: int | None = None
        self.policy = {"set": sha256(b"set"), "epoch": 1, "semantics": "cedar-4"}
        self.uses = uses
        self.spare = Key(Ed25519PrivateKey)
        self.add(
            "genesis",
            {
                "domain": DOMAIN,
                "cluster": ident("cluster"),
                "home": home,
                "keys": [key.bytes for key in LEDGER],
                "threshold": 2,
                "members": [[key.bytes for key in member] for member in MEMBERS],
                "limits": {"window_ms_max": 1000, "freeze_ms_max": 10, "kill_ms_max": 20, "depth_max": 3},
                "time_ms": 1,
            },
            control=True,
        )
        self.seal()
        self.add("gateway", self.enrolment(1), control=True)
        self.seal()

    def fresh(self) -> bytes:
        """An id that no entry before has."""
        return ident(f"entry {len(self.entries)}")

    def enrolment(self, epoch: int, key: Key = GATEWAY, gateway: str = "gw") -> dict:
        return {
            "request": REQUEST,
            "gateway": gateway,
            "epoch": epoch,
            "key": key.bytes,
            "groups": ["a", "b"],
            "asserts": [{"type": "user", "id": "ann"}],
            "by": PRINCIPAL,
            "time_ms": 2,
        }

    def renew(self, epoch: int = 2, **changes) -> None:
        """A renewal with a key of its own."""
        self.add("gateway", self.enrolment(epoch, self.spare, **changes), control=True)

    def ref(self, index: int, **changes) -> dict:
        """The entry-ref of an entry of this ledger."""
        return {"ledger": ORIGIN, "index": index, "entry": entry_hash(self.entries[index])} | changes

    def add(self, kind: str, body: dict, control: bool = False) -> bytes:
        if control:
            prev = self.control[-1] if self.control else bytes(32)
            body = body | {"control": {"seq": len(self.control), "prev": prev}}
        data = cbor.encode(["writ.entry", kind, 1, ORIGIN, body])
        self.entries.append(data)
        if control:
            self.control.append(entry_hash(data))
        return entry_hash(data)

    def seal(self, **changes) -> None:
        count = len(self.entries) - self.batch_at
        head = {"ledger": ORIGIN, "seq": len(self.control) - 1, "head": self.control[-1]}
        body = {"batch": self.batch, "first": self.batch_at, "count": count, "control": head, "time_ms": 9}
        self.add("seal", body | changes)
        self.batch, self.batch_at = self.batch + 1, len(self.entries)

    def grant(self, **changes) -> bytes:
        body = {
            "id": self.fresh(),
            "request": REQUEST,
            "principal": PRINCIPAL,
            "action": {"kind": "exec", "digest": ACTION_DIGEST},
            "policy": {"set": sha256(b"set"), "epoch": 1, "semantics": "cedar-4", "reasons": ["p1", "p2"]},
            "as_of": {"ledger": ORIGIN, "size": len(self.entries), "control": self.control[-1]},
            "cause": {"depth": 0},
            "scope": {"kind": "one"},
            "audience": {"gateway": "gw", "epoch": 1},
            "surroundings": {"digest": sha256(b"around"), "level": "claimed", "components": ["os"]},
            "facts": commitment("facts", SALT, b"facts"),
            "window": {"from_ms": 100, "until_ms": 200},
            "uses": self.uses,
            "lease": {"freeze_after_ms": 5, "kill_after_ms": 5},
            "obligations": [{"kind": "sandbox", "profile": "tight"}],
            "labels": [],
            "holder": HOLDER.bytes,
            "time_ms": 90,
        }
        self.at = len(self.entries)
        self.writ = self.add("grant", body | changes)
        return self.writ

    def said(self, entry: str, kind: str, *, key: Key = GATEWAY, origin: str = ORIGIN, **body) -> None:
        self.seq += 1
        common = {"gateway": "gw", "epoch": 1, "seq": self.seq, "time_ms": 150, "writ": self.writ}
        self.add(entry, {"statement": signed(kind, common | body, [key], origin)})

    def spend(self, name: str = "e1", use: int = 1, **changes) -> None:
        self.said("spend", "spent", **{"index": self.at, "execution": ident(name), "use": use} | changes)

    def start(self, name: str = "e1", **changes) -> None:
        body = {"execution": ident(name), "action": ACTION_DIGEST, "surroundings": sha256(b"around")}
        self.said("start", "started", **body | changes)

    def outcome(self, name: str = "e1", result=None, **changes) -> None:
        result = result or {"kind": "exited", "status": 0}
        self.said("outcome", "ended", **{"execution": ident(name), "result": result} | changes)

    def order(self, kind: str, signers=None, **body) -> None:
        common = {"domain": DOMAIN, "id": self.fresh(), "time_ms": 5}
        signers = signers or [key for member in MEMBERS for key in member]
        self.add("root-order", {"statement": signed(kind, common | body, signers)}, control=True)

    def ordered(self, kind: str, **body) -> None:
        """A control entry by order of a principal."""
        common = {"request": REQUEST, "id": self.fresh(), "reason": "lost", "by": PRINCIPAL, "time_ms": 5}
        done = {"halt": "halt", "revocation": "revoke"}[kind]
        target = {"target": body["target"]} if "target" in body else {}
        order = ordering({"command": done, "reason": body.get("reason", "lost")} | target)
        common["action"] = {"kind": "order", "digest": commitment("action", SALT, order)}
        common["policy"] = self.policy | {"reasons": []}
        common["facts"] = commitment("facts", SALT, b"facts")
        if self.at is None:
            self.at = len(self.entries)
        self.add(kind, common | body, control=True)

    def revoke(self, kind: str, **target) -> None:
        self.ordered("revocation", target={"kind": kind} | target)

    def activate(self, epoch: int = 1, **changes) -> None:
        body = {
            "request": REQUEST,
            "set": sha256(b"set"),
            "epoch": epoch,
            "semantics": "cedar-4",
            "gates": [{"gate": "files", "passed": 3}, {"gate": "fixtures", "passed": 0}],
            "content": commitment("policy", SALT, b"set"),
            "report": commitment("text", SALT, b"passed"),
            "by": PRINCIPAL,
            "time_ms": 3,
        }
        body |= changes
        self.policy = {name: body[name] for name in ("set", "epoch", "semantics")}
        self.add("policy", body, control=True)

    def tally(self, **changes) -> None:
        body = {"counts": [{"code": "unauthenticated", "count": 3}], "from_ms": 4, "time_ms": 5}
        self.add("tally", body | changes)

    def halt(self, **changes) -> None:
        self.ordered("halt", **changes)

    def decide(self, kind: str, **body) -> None:
        """A denial, or with other fields a hold."""
        common = {
            "id": self.fresh(),
            "request": REQUEST,
            "principal": PRINCIPAL,
            "action": {"kind": "exec", "digest": ACTION_DIGEST},
            "as_of": {"ledger": ORIGIN, "size": len(self.entries), "control": self.control[-1]},
            "cause": {"depth": 0},
            "time_ms": 90,
        }
        self.at = len(self.entries)
        self.add(kind, common | body)

    def leaves(self) -> list[bytes]:
        return [entry_hash(data) for data in self.entries]

    def report(self, epoch: int = 1, key: Key = GATEWAY) -> None:
        common = {"gateway": "gw", "epoch": epoch, "seq": 99, "time_ms": 150}
        body = common | {"size": 1, "root": self.control[0]}
        self.add("report", {"statement": signed("heartbeat", body, [key])})

    def checkpoint(self, signers=LEDGER, again=(), timestamp: int = 0) -> bytes:
        root = root_of(self.leaves())
        text = f"{ORIGIN}\n{len(self.entries)}\n{b64(root)}\n"
        name = bytes([len(ORIGIN)]) + ORIGIN.encode()
        when = timestamp.to_bytes(8, "big")
        cosigned = b"subtree/v1\n\0" + name + when + name + bytes(8) + len(self.entries).to_bytes(8, "big") + root
        note = text + "\n"
        for key in (*signers, *again):
            ml_dsa = key.bytes[0] == 6
            signature = when + key.private.sign(cosigned) if ml_dsa else key.private.sign(text.encode())
            note += f"— {ORIGIN} {b64(key.note_id() + signature)}\n"
        return note.encode()

    def bundle(self, subject=None, leave_out=(), also=(), **changes) -> bytes:
        kinds = [cbor.decode(data)[1] for data in self.entries]
        shown = [i for i, kind in enumerate(kinds) if kind != "seal" or i == len(kinds) - 1 or i in also]
        leaves = self.leaves()
        body = {
            "checkpoint": self.checkpoint(),
            "entries": [
                [i, self.entries[i], b"".join(path(leaves, i))] for i in shown if i not in leave_out
            ],
            "openings": [["action", SALT, ACTION], ["facts", SALT, b"facts"]],
            "subject": self.at if subject is None else subject,
        }
        return cbor.encode(["writ.bundle", 1, body | changes])

    def proof(self, index=None, checkpoint=None) -> bytes:
        index = self.at if index is None else index
        lines = ["c2sp.org/tlog-proof@v1", f"extra {b64(self.entries[index])}", f"index {index}"]
        lines += [b64(one) for one in path(self.leaves(), index)]
        return "\n".join(lines).encode() + b"\n\n" + (checkpoint or self.checkpoint())

    def trust_text(self, genesis=None) -> str:
        genesis = genesis or self.control[0]
        vkeys = "".join(f"key {key.vkey()}\n" for key in LEDGER)
        return (
            f"writ/trust-root@v1\ndomain dom_{DOMAIN.hex()}\nledger {ORIGIN}\n"
            f"genesis {b64(genesis)}\nkeys 0\n{vkeys}"
        )

    def trust(self, text=None, **changes):
        return parse_trust_root((text or self.trust_text(**changes)).encode())


def whole() -> World:
    """The happy path: granted, used twice, once lost."""
    world = World()
    world.grant()
    world.seal()
    world.spend()
    world.start()
    world.outcome()
    world.spend("e2", 2)
    world.outcome("e2", {"kind": "unknown"})
    world.seal()
    return world
