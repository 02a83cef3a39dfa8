"""Tests of the second verifier: a ledger built from the pages of spec/ is judged, whole and with faults."""

import contextlib
import copy
import hashlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import verify
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sample_ledger import (
    ACTION,
    DOMAIN,
    GATEWAY,
    HOLDER,
    LEDGER,
    MEMBERS,
    ORIGIN,
    SALT,
    Key,
    World,
    ident,
    pair,
    path,
    root_of,
    signed,
    subproof,
    whole,
)
from verifier import cbor, ed25519, tree
from verifier.action import read_action, variables_digest
from verifier.bundle import verify_bundle
from verifier.conventions import entry_hash, sha256
from verifier.refusals import Refused
from verifier.statement import judge_root_statement, read_statement
from verifier.trust_root import parse_trust_root
from verifier.vectors import run
from verifier.writ import verify_writ


class Case(unittest.TestCase):
    def refused(self, code: str, run, *arguments) -> None:
        with self.assertRaises(Refused) as caught:
            run(*arguments)
        self.assertEqual(caught.exception.code, code, caught.exception.why)


class CborTest(Case):
    FAULTS = {
        "truncated": ["", "19ff", "9a00010000", "82", "62c3", "a100", "a16161", "f9"],
        "trailing_bytes": ["0000"],
        "not_shortest": ["1817", "1900ff", "5800", "b800", "fa3fc00000", "fb3ff8000000000000", "a1780161f6"],
        "indefinite_length": ["9f00ff", "5f", "ff", "df"],
        "reserved": ["1c", "7d", "fe"],
        "integer_range": ["3b8000000000000000"],
        "invalid_utf8": ["61ff", "63eda080"],
        "key_not_text": ["a10000", "a1410000", "a18000"],
        "unsorted_keys": ["a26162006161f6", "a262616100616200"],
        "duplicate_key": ["a2616100616100"],
        "tag": ["c000", "d81800"],
        "simple": ["f7", "e0", "f820"],
        "non_finite_float": ["f97e00", "fa7f800000", "fb7ff8000000000000"],
        "reducible_float": ["f93c00", "f98000", "fbc3e0000000000000", "fa5f000000"],
        "too_deep": ["81" * 17 + "00", "81" * 16 + "80"],
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

    def test_many_values_are_judged_but_not_kept(self):
        count = cbor.MAX_KEPT + 5
        data = cbor.encode_head(4, count) + b"\x00" * count
        self.assertIs(cbor.decode(data), cbor.OMITTED)
        self.assertEqual(cbor.decode(b"\x82\x01" + data), [1, cbor.OMITTED])


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
        bad = [0, 1, p - 1, p, p + 1, (1 << 255) | 1, (1 << 255) | (p - 1), 2, (1 << 255) - 1]
        bad += [int.from_bytes(compress(times(i, TORSION)), "little") for i in range(8)]
        for number in bad:
            self.assertFalse(ed25519.key_is_valid(number.to_bytes(32, "little")), number)
        self.assertTrue(ed25519.key_is_valid(GATEWAY.bytes[1:]))

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

    def test_forms_of_grants(self):
        cases = [
            {"window": {"from_ms": 5, "until_ms": 5}},
            {"lease": {"freeze_after_ms": 6, "kill_after_ms": 5}},
            {"uses": 0},
            {"uses": True},
            {"holder": b"\x01" + bytes(32)},
            {"holder": LEDGER[1].bytes},
            {"cause": {"depth": 1}},
            {"scope": {"kind": "any"}},
            {"extra": 1},
            {"audience": {"group": "a", "gateway": "gw"}},
            {"admitted": {"execution": ident("e"), "nonce": bytes(32)}},
            {"policy": {"set": bytes(32), "epoch": 1, "semantics": "x", "reasons": ["b", "a"]}},
        ]
        for changes in cases:
            with self.subTest(changes):
                world = World()
                world.grant(**changes)
                world.seal()
                self.refused("malformed", verify_writ, world.proof(), world.trust())


class BundleTest(Case):
    def test_verified(self):
        world = whole()
        self.assertEqual(
            verify_bundle(world.bundle(), world.trust()).result(),
            {
                "subject": 4,
                "type": "grant",
                "executions": [
                    {"execution": ident("e1").hex(), "state": "ended", "result": "exited:0"},
                    {"execution": ident("e2").hex(), "state": "ended", "result": "unknown"},
                ],
                "revoked_at": None,
                "halted_at": None,
                "openings": 2,
            },
        )

    def judged(self, code: str, build, **shown) -> None:
        """Build on a fresh grant, seal, and expect a refusal, or a verified bundle for the code `ok`."""
        world = World()
        build(world)
        world.seal()
        if code == "ok":
            return verify_bundle(world.bundle(**shown), world.trust()).result()
        self.refused(code, verify_bundle, world.bundle(**shown), world.trust())

    def test_rules_of_order(self):
        def steps(*actions):
            def build(world):
                world.grant()
                for act in actions:
                    act(world)

            return build

        spend, start, outcome = World.spend, World.start, World.outcome
        gateway = Key(Ed25519PrivateKey)
        renew = lambda w: w.add("gateway", w.enrolment(2), control=True)
        root_halt = lambda w: w.order("halt", reason="fire")
        revoke = lambda w: w.revoke({"kind": "writ", "writ": w.writ})
        cases = [
            ("evidence_incomplete", (start,)),
            ("evidence_incomplete", (spend, outcome)),
            ("lineage_broken", (spend, start, start)),
            ("lineage_broken", (spend, start, outcome, outcome)),
            ("replayed", (spend, spend)),
            ("replayed", (spend, lambda w: w.spend("e1", 2))),
            ("uses_exhausted", (lambda w: w.spend(use=3),)),
            ("not_yet_valid", (lambda w: w.spend(time_ms=99),)),
            ("expired", (lambda w: w.spend(time_ms=200),)),
            ("missing_writ", (lambda w: w.spend(index=2),)),
            ("missing_writ", (lambda w: w.spend(index=3),)),
            ("missing_writ", (lambda w: w.spend(index=77),)),
            ("evidence_incomplete", (lambda w: w.spend(index=3, writ=bytes(32)),)),
            ("unknown_authority", (lambda w: w.spend(gateway="other"),)),
            ("unknown_authority", (lambda w: w.spend(key=gateway),)),
            ("unknown_authority", (lambda w: w.spend(origin="elsewhere"),)),
            ("wrong_audience", (renew, spend)),
            ("wrong_audience", (renew, lambda w: w.spend(epoch=2))),
            ("malformed", (lambda w: w.said("spend", "ended", execution=bytes(16), result={"kind": "unknown"}),)),
            ("action_mismatch", (spend, lambda w: w.start(action=bytes(32)))),
            ("surroundings_mismatch", (spend, lambda w: w.start(surroundings=bytes(32)))),
            ("halted", (World.halt, spend)),
            ("halted", (root_halt, spend)),
            ("revoked", (revoke, spend)),
            ("revoked", (lambda w: w.revoke({"kind": "key", "key": sha256(HOLDER.bytes)}), spend)),
            ("revoked", (lambda w: w.revoke({"kind": "lineage", "ledger": ORIGIN, "entry": w.writ}), spend)),
            ("malformed", (lambda w: w.order("resume", reason="over"),)),
            ("signature_invalid", (lambda w: w.order("halt", MEMBERS[0], reason="fire"),)),
            ("signature_invalid", (lambda w: w.order("halt", MEMBERS[0] + MEMBERS[1][:1], reason="fire"),)),
            ("unknown_authority", (lambda w: w.order("halt", LEDGER + MEMBERS[1], reason="fire"),)),
            ("unknown_authority", (lambda w: w.order("halt", domain=bytes(16), reason="fire"),)),
        ]
        for number, (code, actions) in enumerate(cases):
            with self.subTest(number, code=code):
                self.judged(code, steps(*actions))
        resumed = steps(root_halt, lambda w: w.order("resume", reason="over"), spend)
        self.assertIsNone(self.judged("ok", resumed)["halted_at"])
        late = self.judged("ok", steps(spend, revoke, World.halt, start, outcome))
        self.assertEqual((late["revoked_at"], late["halted_at"]), (6, 7))

    def test_grants(self):
        far = {"ledger": "other", "entry": bytes(32)}
        farther = {"ledger": "other", "entry": b"1" * 32}
        cases = [
            ("unknown_authority", {"audience": {"gateway": "none", "epoch": 1}}),
            ("wrong_audience", {"audience": {"gateway": "gw", "epoch": 2}}),
            ("ok", {"audience": {"group": "a"}}),
            ("scope_widened", {"window": {"from_ms": 0, "until_ms": 1001}}),
            ("scope_widened", {"lease": {"freeze_after_ms": 11, "kill_after_ms": 12}}),
            ("scope_widened", {"cause": {"depth": 4, "parent": far, "origin": farther}}),
            ("lineage_broken", {"cause": {"depth": 1, "parent": far, "origin": farther}}),
            ("ok", {"cause": {"depth": 2, "parent": far, "origin": farther}}),
            ("malformed", {"as_of": {"ledger": ORIGIN, "size": 99, "control": bytes(32)}}),
            ("malformed", {"as_of": {"ledger": ORIGIN, "size": 4, "control": bytes(32)}}),
        ]
        for code, changes in cases:
            with self.subTest(changes):
                self.judged(code, lambda world: world.grant(**changes))
        admitted = {"execution": ident("e0"), "nonce": bytes(32)}
        found = self.judged("ok", lambda world: (world.grant(uses=1, admitted=admitted), world.start("e0")))
        self.assertEqual(found["executions"][0]["state"], "started")
        twice = lambda world: (world.grant(uses=1, admitted=admitted), world.spend())
        self.judged("replayed", twice)

    def test_bundle(self):
        world = whole()
        trust = world.trust()
        size = len(world.entries)
        entries = cbor.decode(world.bundle())[2]["entries"]
        swapped, cut = copy.deepcopy(entries), copy.deepcopy(entries)
        swapped[0], swapped[1] = swapped[1], swapped[0]
        cut[2][2] = cut[2][2][:-32]
        cases = [
            ("evidence_incomplete", {"leave_out": [size - 1]}),
            ("unknown_authority", {"leave_out": [0]}),
            ("control_chain_broken", {"leave_out": [2]}),
            ("evidence_incomplete", {"leave_out": [4]}),
            ("evidence_incomplete", {"subject": size - 1}),
            ("evidence_incomplete", {"subject": 3}),
            ("evidence_invalid", {"subject": 2}),
            ("malformed", {"entries": swapped}),
            ("malformed", {"entries": []}),
            ("malformed", {"more": 1}),
            ("proof_invalid", {"entries": cut}),
            ("commitment_mismatch", {"openings": [["facts", SALT, b"other"]]}),
            ("commitment_mismatch", {"openings": [["text", SALT, b"facts"]]}),
            ("malformed", {"openings": [["colour", SALT, b"facts"]]}),
        ]
        for code, changes in cases:
            with self.subTest(changes=list(changes)):
                self.refused(code, verify_bundle, world.bundle(**changes), trust)
        self.refused("unsupported_version", verify_bundle, world.bundle().replace(b"bundle\x01", b"bundle\x02"), trust)
        self.refused("unknown_authority", verify_bundle, world.bundle(), world.trust(genesis=bytes(32)))
        world = whole()
        world.halt()
        world.seal(control={"ledger": ORIGIN, "seq": 1, "head": world.control[1]})
        self.refused("control_chain_broken", verify_bundle, world.bundle(), trust)

    def test_any_change_of_a_byte_is_a_refusal(self):
        world = whole()
        data, trust = world.bundle(), world.trust()
        for at in range(0, len(data), 211):
            with self.subTest(at), self.assertRaises(Refused):
                verify_bundle(data[:at] + bytes([data[at] ^ 0x15]) + data[at + 1 :], trust)
        for at in range(0, len(data), 499):
            with self.subTest(at), self.assertRaises(Refused):
                verify_bundle(data[:at], trust)


class FormTest(Case):
    def test_action(self):
        read_action(ACTION)
        value = cbor.decode(ACTION)
        for code, changes in (
            ("malformed", {"argv": []}),
            ("malformed", {"argv": [b"a\0"]}),
            ("malformed", {"cwd": b"tmp"}),
            ("malformed", {"stdin": "none"}),
        ):
            self.refused(code, read_action, cbor.encode([*value[:3], value[3] | changes]))
        self.refused("unsupported_version", read_action, cbor.encode(["writ.action", "exec", 2, 7]))
        self.refused("unsupported_version", read_action, cbor.encode(["writ.action", "walk", 1, {}]))
        for pairs in ([(b"", b"")], [(b"A=", b"")], [(b"A", b"1"), (b"A", b"2")], [(b"A", b"\0")]):
            self.refused("malformed", variables_digest, pairs)

    def test_root_statement_alone(self):
        body = {"domain": DOMAIN, "id": ident("order"), "time_ms": 5, "reason": "over"}
        data = signed("resume", body, MEMBERS[0])
        members = [[key.bytes for key in member] for member in MEMBERS]
        judge_root_statement(read_statement(data, ORIGIN, ("resume",)), DOMAIN, 1, members)
        self.refused("malformed", read_statement, data, ORIGIN, ("halt",))
        newer = data.replace(b"writ.signed\x01", b"writ.signed\x02")
        self.refused("unsupported_version", read_statement, newer, ORIGIN, ("resume",))

    def test_trust_root(self):
        world = World()
        text = world.trust_text()
        world.trust()
        group = text[text.index("keys 0") :]
        parse_trust_root((text + group.replace("keys 0", "keys 7")).encode())
        first, second = text.splitlines(True)[5:]
        for code, data in (
            ("unsupported_version", text.replace("@v1", "@v2")),
            ("malformed", text[:-1]),
            ("malformed", text + "\n"),
            ("malformed", text + group),
            ("malformed", text.replace("keys 0", "keys 1")),
            ("malformed", text.replace(first + second, second + first)),
            ("malformed", text.replace(second, "")),
            ("malformed", text.replace("domain ", "domain  ")),
            ("malformed", text + text.partition("ledger ")[1] + text.partition("ledger ")[2]),
            ("malformed", text.replace(LEDGER[0].note_id().hex(), "00000000")),
        ):
            self.refused(code, parse_trust_root, data.encode())


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


class Output(io.StringIO):
    """A standard stream that is kept."""

    def reconfigure(self, **_) -> None:
        """What the command asks of the real stream."""


if __name__ == "__main__":
    unittest.main()
