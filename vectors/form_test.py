"""Tests of the second verifier: the forms of actions, entries, statements and trust roots, whole and with faults."""

import hashlib
import unittest

from sample_ledger import (
    ACTION,
    DOMAIN,
    GATEWAY,
    HOLDER,
    LEDGER,
    MEMBERS,
    ORIGIN,
    PRINCIPAL,
    REQUEST,
    Case,
    World,
    ident,
    signed,
)
from verifier import cbor
from verifier.action import commitment, read_action, variables_digest
from verifier.entry import read_entry
from verifier.report import opened
from verifier.statement import (
    judge_root_statement,
    read_payload,
    read_presentation,
    read_request,
    read_signed,
    surroundings_digest,
)
from verifier.trust_root import parse_trust_root
from verifier.vectors import check_presentation, check_request, check_surroundings


def without(body: dict, name: str) -> dict:
    return {one: value for one, value in body.items() if one != name}


class FormTest(Case):
    def test_action(self):
        read_action(ACTION)
        value = cbor.decode(ACTION)
        for code, changes in (
            ("malformed", {"argv": []}),
            ("malformed", {"argv": [b"a\0"]}),
            ("malformed", {"cwd": b"tmp"}),
            ("malformed", {"stdin": "none"}),
            ("malformed", {"path": b"bin/true"}),
            ("malformed", {"path": b"/bin\0"}),
            ("malformed", {"names": [b"B", b"A"]}),
            ("malformed", {"names": [b"A", b"A"]}),
            ("malformed", {"names": [b""]}),
            ("malformed", {"names": [b"A="]}),
            ("malformed", {"names": [b"A\0"]}),
            ("malformed", {"names": ["A"]}),
            ("malformed", {"interpreter": None}),
            ("malformed", {"interpreter": {"path": b"/bin/sh"}}),
            ("malformed", {"interpreter": {"path": b"sh", "digest": bytes(32)}}),
            ("malformed", {"interpreter": {"path": b"/bin\0", "digest": bytes(32)}}),
            ("malformed", {"interpreter": {"path": b"/bin/sh", "digest": bytes(31)}}),
        ):
            self.refused(code, read_action, cbor.encode([*value[:3], value[3] | changes]))
        for name in ("path", "names"):
            self.refused("malformed", read_action, cbor.encode([*value[:3], without(value[3], name)]))
        for changes in (
            {"names": []},
            {"names": [b"A%03d" % i for i in range(300)] + [b"B\xff"]},
            {"interpreter": {"path": b"/bin/sh", "digest": bytes(32)}},
        ):
            read_action(cbor.encode([*value[:3], value[3] | changes]))
        for code, other in (
            ("unsupported_version", ["writ.action", "exec", 2, {}]),
            ("unsupported_version", ["writ.action", "walk", 1, {}]),
            ("malformed", ["writ.action", "exec", 2, 7]),
            ("malformed", ["writ.action", "exec", 2, {}, {}]),
            ("malformed", ["writ.action", "exec", -1, {}]),
            ("malformed", ["writ.action", 1, 2, {}]),
        ):
            self.refused(code, read_action, cbor.encode(other))
        for pairs in ([(b"", b"")], [(b"A=", b"")], [(b"A", b"1"), (b"A", b"2")], [(b"A", b"\0")]):
            self.refused("malformed", variables_digest, pairs)

    def test_orders(self):
        writ = {"kind": "writ", "writ": bytes(32)}
        halt, revoke = {"command": "halt", "reason": "fire"}, {"command": "revoke", "reason": "lost", "target": writ}
        for good, body in (
            (True, halt),
            (True, revoke),
            (True, {"command": "publish", "reason": "update", "bundle": bytes(32)}),
            (False, {"command": "publish", "reason": "update", "bundle": bytes(31)}),
            (False, {"command": "publish", "reason": "update"}),
            (False, halt | {"bundle": bytes(32)}),
            (True, revoke | {"target": {"kind": "principal", "type": "user", "id": "ann"}}),
            (False, halt | {"target": writ}),
            (False, without(revoke, "target")),
            (False, revoke | {"target": writ | {"kind": "colour"}}),
            (False, revoke | {"target": writ | {"set": bytes(32)}}),
            (False, halt | {"command": "resume"}),
            (False, halt | {"command": 1}),
            (False, without(halt, "command")),
            (False, without(halt, "reason")),
            (False, halt | {"reason": "On fire"}),
            (False, halt | {"more": 1}),
        ):
            with self.subTest(body):
                data = cbor.encode(["writ.action", "order", 1, body])
                if good:
                    self.assertEqual(read_action(data)[0], "order")
                    self.assertIn(body["command"], opened(["action", bytes(32), data]))
                else:
                    self.refused("malformed", read_action, data)
        newer = cbor.encode(["writ.action", "order", 2, {}])
        self.refused("unsupported_version", read_action, newer)

    def test_policies_and_tallies(self):
        world = World()
        world.activate()
        world.tally()
        policy, tally = (cbor.decode(data)[4] for data in world.entries[-2:])
        few = [{"code": code, "count": 1} for code in ("rate_limited", "unauthenticated")]
        for good, kind, body in (
            (True, "policy", policy),
            (True, "policy", policy | {"gates": []}),
            (True, "policy", policy | {"manifest": signed("policy-set", {}, [GATEWAY])}),
            (False, "policy", policy | {"manifest": b""}),
            (False, "policy", policy | {"gates": policy["gates"] * 2}),
            (False, "policy", policy | {"gates": [{"gate": "Files", "passed": 1}]}),
            (False, "policy", policy | {"gates": [{"gate": "files", "passed": -1}]}),
            (False, "policy", policy | {"epoch": 0}),
            (False, "policy", policy | {"set": bytes(31)}),
            (False, "policy", policy | {"semantics": "Cedar 4"}),
            (False, "policy", policy | {"id": bytes(16)}),
            (True, "policy", without(policy, "report")),
            (False, "policy", policy | {"report": bytes(31)}),
            *((False, "policy", without(policy, name)) for name in policy if name != "report"),
            (True, "tally", tally),
            (True, "tally", tally | {"counts": few, "from_ms": 5}),
            (False, "tally", tally | {"from_ms": 6}),
            (False, "tally", tally | {"counts": []}),
            (False, "tally", tally | {"counts": few[::-1]}),
            (False, "tally", tally | {"counts": few[:1] * 2}),
            (False, "tally", tally | {"counts": [few[0] | {"count": 0}]}),
            (False, "tally", tally | {"counts": [few[0] | {"code": "tired"}]}),
            (False, "tally", tally | {"request": REQUEST}),
            *((False, "tally", without(tally, name)) for name in tally),
        ):
            with self.subTest(kind=kind, body=body):
                data = cbor.encode(["writ.entry", kind, 1, ORIGIN, body])
                if good:
                    read_entry(data, ORIGIN)
                else:
                    self.refused("malformed", read_entry, data, ORIGIN)

    REQUESTED = {
        "key": ident("asked"),
        "salt": bytes(32),
        "action": ACTION,
        "action_salt": bytes(32),
        "time_ms": 5,
    }
    ORDER = cbor.encode(["writ.action", "order", 1, {"command": "halt", "reason": "fire"}])

    def test_requests(self):
        asked = self.REQUESTED | {
            "holder": HOLDER.bytes,
            "audience": {"gateway": "gw", "epoch": 1},
            "surroundings": [["host", "a B\u00e9"], ["os", ""]],
        }
        order = self.REQUESTED | {"action": self.ORDER}
        admit = {"execution": bytes(16), "nonce": bytes(32)}
        newer = cbor.encode(["writ.action", "exec", 2, {}])
        for code, kind, body in (
            (None, "authorize", asked),
            (None, "authorize", asked | {"admit": admit, "principal": {"type": "user", "id": "ann"}}),
            (None, "authorize", asked | {"audience": {"group": "a"}, "surroundings": []}),
            (None, "order", order),
            (None, "order", order | {"principal": {"type": "user", "id": "ann"}}),
            ("malformed", "authorize", asked | {"admit": admit, "audience": {"group": "a"}}),
            ("malformed", "authorize", asked | {"admit": admit | {"use": 1}}),
            ("malformed", "authorize", asked | {"holder": LEDGER[1].bytes}),
            ("malformed", "authorize", asked | {"audience": {"gateway": "gw", "epoch": 0}}),
            ("malformed", "authorize", asked | {"surroundings": [["os", ""], ["host", ""]]}),
            ("malformed", "authorize", asked | {"surroundings": [["os", ""], ["os", "x"]]}),
            ("malformed", "authorize", asked | {"surroundings": [["OS", ""]]}),
            ("malformed", "authorize", asked | {"surroundings": [["os", b""]]}),
            ("malformed", "authorize", asked | {"surroundings": [[f"a{i:03}", ""] for i in range(257)]}),
            ("malformed", "authorize", asked | {"principal": PRINCIPAL}),
            ("malformed", "authorize", asked | {"action": b"crooked"}),
            ("malformed", "authorize", asked | {"salt": bytes(31)}),
            ("unsupported_version", "authorize", asked | {"action": newer}),
            ("malformed", "order", self.REQUESTED),
            ("malformed", "order", order | {"holder": HOLDER.bytes}),
            *(("malformed", "authorize", without(asked, name)) for name in asked),
            *(("malformed", "order", without(order, name)) for name in order),
        ):
            data, bare = signed(kind, body, [HOLDER]), cbor.encode(["writ.statement", kind, 1, ORIGIN, body])
            with self.subTest(kind=kind, body=body):
                if code:
                    self.refused(code, read_request, data, ORIGIN, HOLDER.bytes)
                    self.refused(code, read_request, bare, ORIGIN, None)
                else:
                    self.assertEqual(read_request(data, ORIGIN, HOLDER.bytes), (kind, body))
                    self.assertEqual(read_request(bare, ORIGIN, None), (kind, body))
                    told = check_request({"hex": bare.hex(), "origin": ORIGIN})
                    self.assertEqual(told["request"], commitment("request", bytes(32), bare).hex())
                    told = check_request({"hex": data.hex(), "origin": ORIGIN, "key": HOLDER.bytes.hex()})
                    self.assertEqual(told["request"], commitment("request", bytes(32), data).hex())
                    self.assertEqual(told["action"], commitment("action", bytes(32), body["action"]).hex())
                    self.assertEqual(told["surroundings"] is None, kind == "order")
        data, bare = signed("order", order, [HOLDER]), cbor.encode(["writ.statement", "order", 1, ORIGIN, order])
        self.refused("malformed", read_request, data, ORIGIN, None)
        self.refused("malformed", read_request, bare, ORIGIN, HOLDER.bytes)
        self.judge_signers("order", order, read_request)

    def judge_signers(self, kind: str, body: dict, read) -> None:
        """What is the same for all that exactly one key must sign; here it is that of HOLDER."""
        data = signed(kind, body, [HOLDER])
        halt = {"domain": DOMAIN, "id": bytes(16), "time_ms": 5, "reason": "fire"}
        other = cbor.decode(data)
        other[3][0][1] = GATEWAY.private.sign(b"writ.signed/v1\n" + other[2])
        long = cbor.decode(data)
        long[3][0][1] = bytes(2420)
        for code, given in (
            ("unknown_authority", signed(kind, body, [GATEWAY])),
            ("unknown_authority", signed(kind, body, [GATEWAY, HOLDER])),
            ("unknown_authority", signed(kind, body, [HOLDER], "elsewhere")),
            ("unsupported_version", signed(kind, body, [HOLDER], version=2)),
            ("unsupported_version", signed("whispered", body, [HOLDER])),
            ("malformed", signed("halt", halt, [HOLDER])),
            ("signature_invalid", cbor.encode(other)),
            ("signature_invalid", cbor.encode(long)),
        ):
            self.refused(code, read, given, ORIGIN, HOLDER.bytes)

    def test_presentations(self):
        body = {
            "writ": bytes(32),
            "gateway": "gw",
            "epoch": 1,
            "nonce": bytes(32),
            "action": bytes(32),
            "time_ms": 5,
        }
        data = signed("presented", body, [HOLDER])
        self.assertEqual(read_presentation(data, ORIGIN, HOLDER.bytes), body)
        told = check_presentation({"hex": data.hex(), "origin": ORIGIN, "key": HOLDER.bytes.hex()})
        self.assertEqual(told, {n: v.hex() if type(v) is bytes else v for n, v in body.items() if n != "time_ms"})
        for wrong in (
            *(without(body, name) for name in body),
            body | {"epoch": 0},
            body | {"nonce": bytes(31)},
            body | {"gateway": "g w"},
            body | {"seq": 1},
        ):
            self.refused("malformed", read_presentation, signed("presented", wrong, [HOLDER]), ORIGIN, HOLDER.bytes)
        self.judge_signers("presented", body, read_presentation)
        request = signed("order", self.REQUESTED | {"action": self.ORDER}, [HOLDER])
        self.refused("malformed", read_presentation, request, ORIGIN, HOLDER.bytes)
        self.refused("malformed", read_request, signed("presented", body, [HOLDER]), ORIGIN, HOLDER.bytes)
        world = World()
        world.add("report", {"statement": request})
        said = read_entry(world.entries[-1], ORIGIN).signed
        self.refused("malformed", read_payload, said, ORIGIN, ("refused", "heartbeat"))

    def test_surroundings(self):
        pairs = [["host", "a"], ["os", "\u00e9"]]
        expected = hashlib.sha256(bytes.fromhex("828264686f7374616182626f7362c3a9")).digest()
        self.assertEqual(surroundings_digest(pairs), expected)
        self.assertEqual(check_surroundings({"components": pairs}), {"digest": expected.hex()})
        self.assertEqual(surroundings_digest([]), hashlib.sha256(b"\x80").digest())
        self.refused("malformed", surroundings_digest, pairs[::-1])

    def test_root_statement_alone(self):
        body = {"domain": DOMAIN, "id": ident("order"), "time_ms": 5, "reason": "over"}
        data = signed("resume", body, MEMBERS[0])
        members = [[key.bytes for key in member] for member in MEMBERS]
        good = read_payload(read_signed(data), ORIGIN, ("resume",))
        judge_root_statement(good, DOMAIN, 1, members)
        self.refused("signature_invalid", judge_root_statement, good, DOMAIN, 2, members)
        self.refused("malformed", read_payload, read_signed(data), ORIGIN, ("halt",))
        self.refused("unknown_authority", read_payload, read_signed(data), "other", ("resume",))
        for newer in (signed("resume", body, MEMBERS[0], version=2), signed("rest", body, MEMBERS[0])):
            self.refused("unsupported_version", read_payload, read_signed(newer), ORIGIN, ("resume",))

    def test_envelope_of_a_statement_in_its_entry(self):
        mark, short = bytes(32), [bytes(32), bytes(64)]
        for code, value in (
            (None, ["writ.signed", 1, b"", [short]]),
            (None, ["writ.signed", 1, b"no CBOR", [short, [b"1" * 32, bytes(2420)]]]),
            ("unsupported_version", ["writ.signed", 2, b"", [short]]),
            ("malformed", ["writ.signed", 2, "", [short]]),
            ("malformed", ["writ.sealed", 1, b"", [short]]),
            ("malformed", ["writ.signed", 1, b"", [[mark, bytes(65)]]]),
            ("malformed", ["writ.signed", 1, b"", [[mark[1:], bytes(64)]]]),
            ("malformed", ["writ.signed", 1, b"", [short, short]]),
            ("malformed", ["writ.signed", 1, b"", []]),
            ("malformed", ["writ.signed", 1, b"", [[bytes([i]) * 32, bytes(64)] for i in range(33)]]),
        ):
            world = World()
            world.add("report", {"statement": cbor.encode(value)})
            if code:
                self.refused(code, read_entry, world.entries[-1], ORIGIN)
            else:
                read_entry(world.entries[-1], ORIGIN)

    def test_erasures(self):
        one, two = bytes(32), b"1" * 32
        common = {"request": REQUEST, "id": bytes(16), "reason": "asked", "by": PRINCIPAL, "time_ms": 1}
        common |= {"action": {"kind": "order", "digest": one}, "facts": two}
        common["policy"] = {"set": one, "epoch": 1, "semantics": "cedar-4", "reasons": []}
        for good, erased in (
            (True, [[3, one]]),
            (True, [[3, one], [3, two], [4, one], [300, one]]),
            (False, []),
            (False, [one]),
            (False, [[3, one], [3, one]]),
            (False, [[3, two], [3, one]]),
            (False, [[4, one], [3, two]]),
            (False, [[index, one] for index in range(257)]),
        ):
            world = World()
            world.add("erasure", common | {"erased": erased})
            if good:
                read_entry(world.entries[-1], ORIGIN)
            else:
                self.refused("malformed", read_entry, world.entries[-1], ORIGIN)

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


if __name__ == "__main__":
    unittest.main()
