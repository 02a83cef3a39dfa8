"""Tests of the second verifier: a ledger built from the pages of spec/ is judged, whole and with faults."""

import contextlib
import hashlib
import io
import json
import re
import tempfile
import unittest
from pathlib import Path

import verify
from sample_ledger import (
    GATEWAY,
    LEDGER,
    ORIGIN,
    Case,
    World,
    b64,
    ident,
    pair,
    path,
    root_of,
    subproof,
    whole,
)
from verifier import cbor, ed25519, tree
from verifier.conventions import entry_hash
from verifier.refusals import CODES
from verifier.vectors import run
from verifier.writ import verify_writ


class CborTest(Case):
    FAULTS = {
        "truncated": ["", "19ff", "9a00010000", "82", "62c3", "a100", "a16161", "f9", "d8"]
        + ["81" * 17, "81" * 16 + "a1"],
        "trailing_bytes": ["0000"],
        "not_shortest": ["1817", "1900ff", "5800", "b800", "fa3fc00000", "fb3ff8000000000000"]
        + ["a1780161f6", "d817", "a1181700"],
        "indefinite_length": ["9f00ff", "5f", "ff", "df"],
        "reserved": ["1c", "7d", "fe"],
        "integer_range": ["3b8000000000000000"],
        "invalid_utf8": ["61ff", "63eda080"],
        "key_not_text": ["a10000", "a1410000", "a18000", "a1f600"],
        "unsorted_keys": ["a26162006161f6", "a262616100616200"],
        "duplicate_key": ["a2616100616100"],
        "tag": ["c000", "d81800"],
        "simple": ["f7", "e0", "f820"],
        "non_finite_float": ["f97e00", "fa7f800000", "fb7ff8000000000000"],
        "reducible_float": ["f93c00", "f98000", "fbc3e0000000000000", "fa5f000000"],
        "too_deep": ["81" * 17 + "00", "81" * 16 + "80", "81" * 16 + "a0"],
    }

    def test_faults(self):
        for fault, inputs in self.FAULTS.items():
            for given in inputs:
                with self.subTest(fault=fault, given=given), self.assertRaises(cbor.Fault) as caught:
                    cbor.decode(bytes.fromhex(given))
                self.assertEqual(caught.exception.name, fault, given)

    def test_values(self):
        for given, value in (
            ("81" * 15 + "80", None),
            ("3b7fffffffffffffff", -(2**63)),
            ("fa5f800000", 2.0**64),
            ("f93e00", 1.5),
            ("fb3ff199999999999a", 1.1),
            ("a3616100616201626161f6", {"a": 0, "b": 1, "aa": None}),
        ):
            read = cbor.decode(bytes.fromhex(given))
            if value is not None:
                self.assertEqual(read, value)

    def test_more_values_than_are_of_use(self):
        data = b"\x82\x01\x81\x02"
        self.assertEqual(cbor.decode(data, 4), [1, [2]])
        with self.assertRaises(cbor.Crowded):
            cbor.decode(data, 3)


class KeyTest(Case):
    def equation(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """The verification equation in plain integers."""
        k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ed25519.L
        s = int.from_bytes(signature[32:], "little")
        x, y = ed25519.decompress(key)
        left = ed25519.add(times(s, BASE), times(k, (-x % ed25519.P, y)))
        return s < ed25519.L and compress(left) == signature[:32]

    def test_keys(self):
        p = ed25519.P
        bad = [0, 1, p - 1, p, p + 1, 1 << 255, (1 << 255) | 1, (1 << 255) | (p - 1), (1 << 255) - 1]
        bad += [int.from_bytes(compress(times(i, TORSION)), "little") for i in range(8)]
        for number in bad:
            self.assertFalse(ed25519.key_is_valid(number.to_bytes(32, "little")), number)
        self.assertEqual({times(i, TORSION)[1] for i in range(8)}, ed25519.SMALL_ORDER)
        self.assertTrue(ed25519.key_is_valid(GATEWAY.bytes[1:]))
        self.assertFalse(ed25519.key_is_valid(GATEWAY.bytes[1:32]))

    def test_a_key_that_is_no_point_verifies_nothing(self):
        off = (2).to_bytes(32, "little")
        self.assertIsNone(ed25519.decompress(off))
        self.assertTrue(ed25519.key_is_valid(off))
        self.assertFalse(ed25519.verifies(off, b"m", GATEWAY.private.sign(b"m")))
        self.assertFalse(ed25519.verifies(off, b"m", (1).to_bytes(64, "little")))

    def test_equation_is_that_of_the_page(self):
        a, r = 123456789, 987654321
        judged = set()
        for key_point in (times(a, BASE), ed25519.add(times(a, BASE), TORSION)):
            key = compress(key_point)
            for r_point in (times(r, BASE), (0, 1), ed25519.add(times(r, BASE), TORSION)):
                for number in range(6):
                    message, nonce = bytes([number]), compress(r_point)
                    k = int.from_bytes(hashlib.sha512(nonce + key + message).digest(), "little")
                    s = ((r if r_point[0] else 0) + k * a) % ed25519.L
                    signature = nonce + s.to_bytes(32, "little")
                    expected = self.equation(key, message, signature)
                    judged.add((key_point == times(a, BASE), expected))
                    self.assertEqual(ed25519.verifies(key, message, signature), expected)
        self.assertIn((True, True), judged)
        self.assertIn((False, False), judged)

    def test_signature_encodings(self):
        key, signature = GATEWAY.bytes[1:], GATEWAY.private.sign(b"m")
        self.assertTrue(ed25519.verifies(key, b"m", signature))
        s = int.from_bytes(signature[32:], "little")
        self.assertFalse(ed25519.verifies(key, b"m", signature[:32] + (s + ed25519.L).to_bytes(32, "little")))
        a = 5
        key = compress(times(a, BASE))
        for y, expected in ((1, True), (1 + ed25519.P, False), (1 | 1 << 255, False)):
            nonce = y.to_bytes(32, "little")
            k = int.from_bytes(hashlib.sha512(nonce + key + b"m").digest(), "little")
            signature = nonce + (k * a % ed25519.L).to_bytes(32, "little")
            self.assertEqual(ed25519.verifies(key, b"m", signature), expected)


def compress(point: tuple[int, int]) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def times(scalar: int, point: tuple[int, int]) -> tuple[int, int]:
    out = (0, 1)
    while scalar:
        if scalar & 1:
            out = ed25519.add(out, point)
        point, scalar = ed25519.add(point, point), scalar >> 1
    return out


BASE = ed25519.decompress((4 * pow(5, -1, ed25519.P) % ed25519.P).to_bytes(32, "little"))
# Any point times L has an order that divides 8; this one has order 8.
TORSION = next(
    candidate
    for y in range(3, 99)
    if (point := ed25519.decompress(y.to_bytes(32, "little")))
    and times(4, candidate := times(ed25519.L, point)) != (0, 1)
)


class TreeTest(Case):
    def test_proofs(self):
        leaves = [entry_hash(bytes([i])) for i in range(20)]
        for size in range(1, 20):
            root = root_of(leaves[:size])
            for index in range(size):
                proof = path(leaves[:size], index)
                tree.judge_inclusion(leaves[index], index, size, root, proof)
                for wrong in (proof + [root], proof[:-1] if proof else [root]):
                    self.refused("proof_invalid", tree.judge_inclusion, leaves[index], index, size, root, wrong)
            for old in range(1, size + 1):
                before, proof = root_of(leaves[:old]), subproof(leaves[:size], old, True)
                tree.judge_consistency(old, before, size, root, proof)
                arguments = (old, before, size, root, proof + [root])
                self.refused("proof_invalid", tree.judge_consistency, *arguments)
                self.refused("proof_invalid", tree.judge_consistency, old, bytes(32), size, root, proof)
            self.refused("proof_invalid", tree.judge_inclusion, leaves[0], size, size, root, [])
            self.refused("proof_invalid", tree.judge_consistency, size + 1, root, size, root, [])
            tree.judge_consistency(0, tree.EMPTY_ROOT, size, root, [])
            self.refused("proof_invalid", tree.judge_consistency, 0, root, size, root, [])
            self.refused("proof_invalid", tree.judge_consistency, 0, tree.EMPTY_ROOT, size, root, [root])
        self.refused("proof_invalid", tree.judge_inclusion, leaves[0], 0, 0, tree.EMPTY_ROOT, [])


class WritTest(Case):
    def test_verified(self):
        world = whole()
        found = verify_writ(world.proof(), world.trust())
        self.assertEqual(found.result()["hash"], world.writ.hex())

    def test_refused(self):
        world, other = whole(), pair()
        trust, proof = world.trust(), world.proof()
        cases = [
            ("missing_writ", b""),
            ("malformed", proof.replace(b"index ", b"index 0")),
            ("malformed", b"\n".join([*proof.split(b"\n")[:1], b"extra ", *proof.split(b"\n")[2:]])),
            ("malformed", proof.replace(b"proof@v1", b"proof@v2")),
            ("malformed", proof.replace(b"\n\n", b"\n", 1)),
            ("malformed", proof[:-1]),
            ("malformed", world.proof(checkpoint=world.checkpoint(again=LEDGER[:1]))),
            ("signature_invalid", world.proof(checkpoint=world.checkpoint(LEDGER[:1]))),
            ("signature_invalid", world.proof(checkpoint=world.checkpoint(LEDGER[1:]))),
            ("signature_invalid", world.proof(checkpoint=world.checkpoint(timestamp=1))),
            ("signature_invalid", world.proof(checkpoint=world.checkpoint(other))),
            ("unknown_authority", proof.replace(ORIGIN.encode(), b"ledger.example/two")),
            ("proof_invalid", proof.replace(b"index 4", b"index 5")),
            ("not_a_writ", world.proof(0)),
        ]
        for number, (code, data) in enumerate(cases):
            with self.subTest(number):
                self.refused(code, verify_writ, data, trust)
        verify_writ(world.proof(checkpoint=world.checkpoint(again=other)), trust)
        note = world.checkpoint()
        mine, others = LEDGER[0].note_id(), bytes(4)
        for code, line in (
            ("malformed", f"— {ORIGIN} {b64(mine + bytes(64))}"),
            ("malformed", f"— {ORIGIN} {b64(others[:3])}"),
            ("malformed", f"— some\u2003body {b64(others + others)}"),
            ("malformed", f"— some+body {b64(others + others)}"),
            ("malformed", f"—  {b64(others + others)}"),
            ("malformed", f"- somebody {b64(others + others)}"),
            ("malformed", f"— {ORIGIN} {b64(others)}"),
            ("malformed", f"— some\u007fbody {b64(others + others)}"),
            (None, f"— {ORIGIN} {b64(others + others)}"),
        ):
            with self.subTest(line):
                data = world.proof(checkpoint=note + line.encode() + b"\n")
                if code:
                    self.refused(code, verify_writ, data, trust)
                else:
                    verify_writ(data, trust)
        first, _ = note.partition(b"\n\n")[2].splitlines(True)
        for wrong in (bytes(1), bytes(63), bytes(65), bytes(2420)):
            line = f"— {ORIGIN} {b64(mine + wrong)}\n".encode()
            self.refused("signature_invalid", verify_writ, world.proof(checkpoint=note.replace(first, line)), trust)

    def test_forms_of_grants(self):
        cases = [
            {"window": {"from_ms": 5, "until_ms": 5}},
            {"lease": {"freeze_after_ms": 6, "kill_after_ms": 5}},
            {"uses": 0},
            {"uses": True},
            {"holder": b"\x01" + bytes(32)},
            {"holder": LEDGER[1].bytes},
            {"cause": {"depth": 1}},
            {"hold": bytes(32)},
            {"hold": {"ledger": ORIGIN, "entry": bytes(32)}},
            {"scope": {"kind": "any"}},
            {"extra": 1},
            {"audience": {"group": "a", "gateway": "gw"}},
            {"admitted": {"execution": ident("e"), "nonce": bytes(32)}},
            {"policy": {"set": bytes(32), "epoch": 1, "semantics": "x", "reasons": ["b", "a"]}},
            {"action": {"kind": "walk", "digest": bytes(32)}},
            {"obligations": [SANDBOX, BUDGET]},
            {"obligations": [BUDGET, BUDGET]},
            {"obligations": [BUDGET | {"draws": []}]},
            {"obligations": [BUDGET | {"draws": [DRAW, DRAW]}]},
            {"obligations": [BUDGET | {"draws": [DRAW, DRAW | {"counter": "b"}]}]},
            {"obligations": [BUDGET | {"draws": [DRAW | {"limit": 0}]}]},
            {"obligations": [BUDGET | {"draws": [DRAW | {"counter": "a b"}]}]},
            {"obligations": [BUDGET | {"draws": [DRAW | {"counter": f"c{i:03}"} for i in range(257)]}]},
            {"obligations": [BUDGET | {"profile": "tight"}]},
        ]
        for changes in cases:
            with self.subTest(changes):
                world = World()
                world.grant(**changes)
                world.seal()
                self.refused("malformed", verify_writ, world.proof(), world.trust())
        world = World()
        world.grant(obligations=[BUDGET | {"draws": [DRAW, DRAW | {"counter": "d"}]}, SANDBOX])
        world.seal()
        verify_writ(world.proof(), world.trust())


SANDBOX = {"kind": "sandbox", "profile": "tight"}
DRAW = {"counter": "c", "limit": 1}
BUDGET = {"kind": "budget", "draws": [DRAW]}


class CommandTest(Case):
    def call(self, *arguments) -> tuple[int, str, str]:
        out, err = Output(), Output()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = verify.main([str(one) for one in arguments])
            except SystemExit as exit:
                status = exit.code
        return status, out.getvalue(), err.getvalue()

    def test_command(self):
        world = whole()
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "b").write_bytes(world.bundle())
            (root / "w").write_bytes(world.proof())
            (root / "t").write_text(world.trust_text())
            status, out, _ = self.call("bundle", root / "b", "--trust", root / "t")
            self.assertEqual(status, 0)
            self.assertIn("exited:0", out)
            status, out, _ = self.call("writ", root / "w", "--trust", root / "t", "--json")
            self.assertEqual((status, json.loads(out)["index"]), (0, 4))
            status, _, err = self.call("writ", root / "b", "--trust", root / "t")
            self.assertEqual((status, err[:20]), (1, "refused: malformed: "))
            self.assertEqual(self.call("writ", root / "none", "--trust", root / "t")[0], 2)
            self.assertEqual(self.call("writ", root / "w")[0], 2)

    def test_vectors(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "cbor").mkdir()
            case = {"about": "one", "check": "cbor", "input": {"hex": "01"}, "expect": {"ok": {"value": ["uint", "1"]}}}
            (root / "cbor" / "good.json").write_text(json.dumps(case))
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(run(root), 0)
            self.assertTrue(out.getvalue().endswith("\n1 passed, 0 failed\n"))
            (root / "cbor" / "none.json").write_text(json.dumps(case | {"check": "none"}))
            (root / "cbor" / "text.json").write_text("{")
            (root / "cbor" / "bad.json").write_text(json.dumps(case | {"input": {}}))
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(run(root), 1)
            self.assertTrue(out.getvalue().endswith("\n1 passed, 3 failed\n"))


class RefusalsTest(unittest.TestCase):
    def test_the_codes_are_those_of_the_page(self):
        page = (Path(__file__).resolve().parent.parent / "spec/refusals.md").read_text()
        self.assertEqual(set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)), CODES)


class Output(io.StringIO):
    """A standard stream that is kept."""

    def reconfigure(self, **_) -> None:
        """What the command asks of the real stream."""


if __name__ == "__main__":
    unittest.main()
