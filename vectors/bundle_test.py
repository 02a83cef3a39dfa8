"""Tests of the second verifier: evidence bundles of a ledger built from the pages of spec/, whole and with faults."""

import copy
import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sample_ledger import (
    ACTION,
    ACTION_DIGEST,
    DOMAIN,
    GATEWAY,
    HOLDER,
    LEDGER,
    MEMBERS,
    ORIGIN,
    OTHER,
    SALT,
    Case,
    Key,
    World,
    ident,
    ordering,
    pair,
    signed,
    whole,
)
from verifier import cbor
from verifier.action import commitment
from verifier.bundle import MAX_VALUES, verify_bundle
from verifier.conventions import sha256
from verifier.state import State, named_by, rests_on
from verifier.refusals import Refused

SPEND, START, OUTCOME = World.spend, World.start, World.outcome
UNKNOWN = {"kind": "unknown"}


def late(act: str, /, **changes):
    """A step of a world, to be taken later."""
    return lambda world: getattr(world, act)(**changes)


def halted(world: World) -> None:
    world.order("halt", reason="fire")


def resumed(world: World) -> None:
    world.order("resume", reason="over")


def revoked(world: World) -> None:
    world.revoke("writ", writ=world.writ)


def lineage_revoked(world: World) -> None:
    world.revoke("lineage", ledger=ORIGIN, entry=world.writ)


def renewed_spend(world: World) -> None:
    world.spend(epoch=2, key=world.spare)


class BundleCase(Case):
    def judged(self, code: str, *steps, **shown):
        """Build, seal, and expect a refusal, or for the code `ok` a verified bundle, whose result is returned."""
        world = World()
        for step in steps:
            step(world)
        world.seal()
        if code == "ok":
            return verify_bundle(world.bundle(**shown), world.trust()).result()
        self.refused(code, verify_bundle, world.bundle(**shown), world.trust())

    def each(self, cases, *before) -> None:
        """Every case: a code and the steps after those before."""
        for number, (code, *steps) in enumerate(cases):
            with self.subTest(number, code=code):
                self.judged(code, *before, *steps)


class ExecutionTest(BundleCase):
    def test_spends(self):
        self.each(
            [
                ("replayed", SPEND, SPEND),
                ("replayed", SPEND, late("spend", name="e1", use=2)),
                ("uses_exhausted", late("spend", use=3)),
                ("not_yet_valid", late("spend", time_ms=99)),
                ("ok", late("spend", time_ms=100)),
                ("ok", late("spend", time_ms=199)),
                ("expired", late("spend", time_ms=200)),
                ("missing_writ", late("spend", index=2)),
                ("evidence_incomplete", late("spend", index=3)),
                ("evidence_incomplete", late("spend", index=77)),
                ("missing_writ", late("spend", writ=bytes(32))),
                ("missing_writ", late("spend", index=2, writ=bytes(32))),
                ("evidence_incomplete", late("spend", index=3, writ=bytes(32))),
                ("halted", World.halt, SPEND),
                ("halted", halted, SPEND),
                ("ok", halted, resumed, SPEND),
                ("revoked", revoked, SPEND),
                ("revoked", late("revoke", kind="key", key=sha256(HOLDER.bytes)), SPEND),
                ("revoked", late("revoke", kind="policy", set=sha256(b"set")), SPEND),
                ("revoked", late("revoke", kind="principal", type="user", id="ann"), SPEND),
                ("ok", late("revoke", kind="principal", type="user", id="bob"), SPEND),
                ("revoked", lineage_revoked, SPEND),
                ("ok", late("revoke", kind="lineage", ledger="other", entry=bytes(32)), SPEND),
                ("revoked", late("revoke", kind="gateway", gateway="gw"), SPEND),
            ],
            World.grant,
        )

    def test_audiences(self):
        other = late("add", kind="gateway", body=World().enrolment(1, OTHER, "other"), control=True)
        group = late("grant", audience={"group": "a"})
        self.each(
            [
                ("wrong_audience", World.grant, World.renew, SPEND),
                ("wrong_audience", World.grant, World.renew, renewed_spend),
                ("wrong_audience", other, World.grant, late("spend", gateway="other", key=OTHER)),
                ("ok", World.renew, late("grant", audience={"gateway": "gw", "epoch": 2}), renewed_spend),
                ("ok", group, SPEND),
                ("ok", group, World.renew, renewed_spend),
                ("wrong_audience", group, World.renew, SPEND),
                ("wrong_audience", late("grant", audience={"group": "c"}), SPEND),
                ("revoked", group, late("revoke", kind="gateway", gateway="gw"), SPEND),
            ]
        )

    def test_starts_and_outcomes(self):
        lost = late("outcome", result=UNKNOWN)
        other = late("add", kind="gateway", body=World().enrolment(1, OTHER, "other"), control=True)
        self.each(
            [
                ("evidence_incomplete", START),
                ("evidence_incomplete", OUTCOME),
                ("evidence_incomplete", SPEND, late("start", name="e2")),
                ("lineage_broken", SPEND, OUTCOME),
                ("lineage_broken", SPEND, late("start", writ=bytes(32))),
                ("lineage_broken", other, SPEND, late("start", gateway="other", key=OTHER)),
                ("lineage_broken", other, SPEND, START, late("outcome", gateway="other", key=OTHER)),
                ("lineage_broken", SPEND, START, late("outcome", writ=bytes(32))),
                ("replayed", SPEND, START, START),
                ("replayed", SPEND, START, OUTCOME, START),
                ("replayed", SPEND, START, OUTCOME, OUTCOME),
                ("replayed", SPEND, lost, lost),
                ("ok", SPEND, lost),
                ("ok", SPEND, START, lost),
                ("replayed", SPEND, lost, START),
                ("action_mismatch", SPEND, late("start", action=bytes(32))),
                ("surroundings_mismatch", SPEND, late("start", surroundings=bytes(32))),
                ("ok", SPEND, World.renew, START, OUTCOME),
            ],
            World.grant,
        )
        found = self.judged("ok", World.grant, SPEND, START, revoked, World.halt, OUTCOME)
        self.assertEqual((found["revoked_at"], found["halted_at"]), (7, 8))
        found = self.judged("ok", World.grant, SPEND, START, late("revoke", kind="gateway", gateway="gw"), OUTCOME)
        self.assertEqual((found["revoked_at"], found["executions"][0]["state"]), (7, "ended"))
        self.each(
            [
                ("revoked", SPEND, revoked, START),
                ("revoked", SPEND, lineage_revoked, START),
                ("revoked", SPEND, late("revoke", kind="gateway", gateway="gw"), START),
                ("halted", SPEND, World.halt, START),
                ("ok", SPEND, halted, resumed, START),
            ],
            World.grant,
        )
        found = self.judged("ok", World.grant, SPEND, lost)
        self.assertEqual(found["executions"][0]["result"], "unknown")

    def test_statements(self):
        stranger = Key(Ed25519PrivateKey)
        self.each(
            [
                ("unknown_authority", late("spend", gateway="other", key=OTHER)),
                ("unknown_authority", late("spend", epoch=2)),
                ("unknown_authority", late("spend", key=stranger)),
                ("unknown_authority", World.renew, late("spend", epoch=2)),
                ("unknown_authority", late("spend", origin="elsewhere")),
                ("malformed", late("said", entry="spend", kind="ended", execution=bytes(16), result=UNKNOWN)),
                ("revoked", SPEND, late("revoke", kind="key", key=sha256(GATEWAY.bytes)), START),
                ("revoked", SPEND, World.renew, late("revoke", kind="key", key=sha256(GATEWAY.bytes)), START),
            ],
            World.grant,
        )
        self.each(
            [
                ("ok", World.report),
                ("ok", World.renew, World.report, World.report),
                ("ok", late("revoke", kind="gateway", gateway="gw"), World.halt, World.report),
                ("unknown_authority", late("report", epoch=2)),
                ("unknown_authority", World.renew, late("report", epoch=2)),
                ("ok", World.renew, lambda world: world.report(2, world.spare)),
                ("revoked", late("revoke", kind="key", key=sha256(GATEWAY.bytes)), World.report),
            ],
            World.grant,
        )

    def test_admitted(self):
        admitted = {"execution": ident("e0"), "nonce": bytes(32)}
        grant = late("grant", uses=1, admitted=admitted, time_ms=150)
        found = self.judged("ok", grant, late("start", name="e0"))
        self.assertEqual(found["executions"][0]["state"], "started")
        self.judged("replayed", grant, SPEND)
        self.judged("not_yet_valid", late("grant", uses=1, admitted=admitted, time_ms=99))
        self.judged("expired", late("grant", uses=1, admitted=admitted, time_ms=200))


class GrantTest(BundleCase):
    def test_grants(self):
        far = {"ledger": "other", "index": 3, "entry": bytes(32)}
        farther = far | {"entry": b"1" * 32}
        here, elsewhere, later = (far | {"ledger": ORIGIN, "index": index} for index in (3, 2, 4))
        cases = [
            ("unknown_authority", {"audience": {"gateway": "none", "epoch": 1}}),
            ("wrong_audience", {"audience": {"gateway": "gw", "epoch": 2}}),
            ("ok", {"audience": {"group": "a"}}),
            ("ok", {"window": {"from_ms": 0, "until_ms": 1000}}),
            ("scope_widened", {"window": {"from_ms": 0, "until_ms": 1001}}),
            ("scope_widened", {"lease": {"freeze_after_ms": 11, "kill_after_ms": 12}}),
            ("scope_widened", {"lease": {"freeze_after_ms": 1, "kill_after_ms": 21}}),
            ("scope_widened", {"cause": {"depth": 4, "parent": far, "origin": farther}}),
            ("lineage_broken", {"cause": {"depth": 1, "parent": far, "origin": farther}}),
            ("lineage_broken", {"cause": {"depth": 1, "parent": far, "origin": far | {"index": 4}}}),
            ("lineage_broken", {"cause": {"depth": 2, "parent": far, "origin": far}}),
            ("ok", {"cause": {"depth": 1, "parent": far, "origin": far}}),
            ("ok", {"cause": {"depth": 2, "parent": far, "origin": farther}}),
            ("ok", {"cause": {"depth": 1, "parent": here, "origin": here}}),
            ("lineage_broken", {"cause": {"depth": 1, "parent": elsewhere, "origin": elsewhere}}),
            ("lineage_broken", {"cause": {"depth": 1, "parent": later, "origin": later}}),
            ("malformed", {"as_of": {"ledger": ORIGIN, "size": 99, "control": bytes(32)}}),
            ("malformed", {"as_of": {"ledger": ORIGIN, "size": 4, "control": bytes(32)}}),
            ("malformed", {"as_of": {"ledger": "other", "size": 4, "control": bytes(32)}}),
            ("malformed", {"as_of": {"ledger": ORIGIN, "size": 0, "control": bytes(32)}}),
            ("evidence_incomplete", {"hold": here}),
            ("approval_rejected", {"hold": elsewhere}),
            ("approval_rejected", {"hold": far}),
        ]
        for code, changes in cases:
            with self.subTest(changes):
                self.judged(code, late("grant", **changes))

    def test_not_accepted(self):
        parent = {"ledger": "other", "index": 3, "entry": b"p" * 32}
        caused = late("grant", cause={"depth": 2, "parent": parent, "origin": parent | {"entry": b"o" * 32}})
        self.each(
            [
                ("halted", World.halt, World.grant),
                ("revoked", late("revoke", kind="principal", type="user", id="ann"), World.grant),
                ("revoked", late("revoke", kind="gateway", gateway="gw"), World.grant),
                ("ok", late("revoke", kind="gateway", gateway="gw"), late("grant", audience={"group": "a"})),
                ("revoked", late("revoke", kind="writ", writ=b"p" * 32), caused),
                ("revoked", late("revoke", kind="writ", writ=b"o" * 32), caused),
                ("revoked", late("revoke", kind="lineage", ledger="other", entry=b"o" * 32), caused),
                ("ok", late("revoke", kind="lineage", ledger=ORIGIN, entry=b"o" * 32), caused),
            ]
        )

    def test_policy_in_force(self):
        other = {"set": sha256(b"other")}
        policy = {"set": sha256(b"set"), "epoch": 1, "semantics": "cedar-4", "reasons": []}
        self.each(
            [
                ("ok", World.grant, World.activate),
                ("ok", World.activate, World.grant),
                ("ok", World.activate, late("grant", policy=policy)),
                ("ok", World.activate, World.grant, late("activate", epoch=2, **other), SPEND),
                ("ok", World.activate, late("activate", epoch=2), late("grant", policy=policy | {"epoch": 2})),
                ("ok", late("grant", policy=policy | {"epoch": 0})),
                ("policy_mismatch", World.activate, late("activate", epoch=2), World.grant),
                ("policy_mismatch", late("activate", **other), World.grant),
                ("policy_mismatch", late("activate", semantics="cedar-5"), World.grant),
                ("policy_mismatch", World.activate, late("grant", policy=policy | {"epoch": 2})),
                ("revoked", World.activate, late("revoke", kind="policy", set=sha256(b"set")), World.grant),
            ]
        )

    def test_policies_are_signed_once_authors_are_pinned(self):
        ann, bob = HOLDER, GATEWAY
        pin = late("order", kind="policy-authors", threshold=2, keys=[ann.bytes, bob.bytes])
        old, new = sha256(b"set"), sha256(b"new")
        files = [["a.cedar", 0, sha256(b"")]]

        def publish(signers=(ann, bob), **changes):
            says = {"domain": DOMAIN, "epoch": 2, "set": new, "replaces": old, "files": files, "accepts": []}
            says |= {"from_ms": 0, "until_ms": 9, "time_ms": 2} | changes
            manifest = signed("policy-set", says, list(signers))
            return late("activate", epoch=2, set=new, manifest=manifest)

        self.each(
            [
                ("ok", World.activate, pin, publish()),
                ("signature_invalid", World.activate, pin, late("activate", epoch=2, semantics="cedar-5")),
                ("ok", World.activate, pin, publish(files=[["a/b.cedar", 1, bytes(32)], ["b.cedar", 1, bytes(32)]])),
                ("signature_invalid", World.activate, pin, late("activate", epoch=2)),
                ("signature_invalid", World.activate, pin, late("activate", epoch=2, set=new)),
                ("signature_invalid", World.activate, pin, publish((ann,))),
                ("unknown_authority", World.activate, publish()),
                ("unknown_authority", World.activate, pin, publish((ann, bob, MEMBERS[0][0]))),
                ("unknown_authority", World.activate, pin, publish(domain=bytes(16))),
                ("policy_stale", World.activate, pin, publish(epoch=3)),
                ("ok", World.activate, pin, publish(accepts=["entities", "policy:a"])),
                ("malformed", World.activate, pin, publish(accepts=["policy:a", "entities"])),
                ("policy_mismatch", World.activate, pin, publish(replaces=new)),
                ("policy_mismatch", World.activate, pin, publish(set=old)),
                ("not_yet_valid", World.activate, pin, publish(from_ms=4)),
                ("expired", World.activate, pin, publish(until_ms=3)),
                ("malformed", World.activate, pin, publish(files=[])),
                ("malformed", World.activate, pin, publish(files=[["../a", 0, bytes(32)]])),
                ("malformed", World.activate, pin, publish(files=files * 2)),
                ("malformed", World.activate, pin, publish(from_ms=9)),
                ("malformed", late("order", kind="policy-authors", threshold=2, keys=[ann.bytes])),
                ("malformed", late("order", kind="policy-authors", threshold=1, keys=[ann.bytes, ann.bytes])),
                ("revoked", World.activate, pin, late("revoke", kind="key", key=sha256(ann.bytes)), publish()),
            ],
            World.grant,
        )

    def test_draws_are_left_out(self):
        grant = late("grant", obligations=[{"kind": "budget", "draws": [{"counter": "c", "limit": 1}]}])
        self.judged("ok", grant)
        # More than one writ, which is judged after the rules of order.
        self.judged("evidence_invalid", grant, grant)

    def test_rests_on_what_ancestors_do(self):
        world = World()
        first = world.grant()
        state = State(ORIGIN)
        body = cbor.decode(world.entries[-1])[4]
        above = body | {"principal": {"type": "user", "id": "zoe", "auth": "oidc"}}
        state.grant = {first: above}.get
        ref = world.ref(world.at)
        below = body | {"cause": {"depth": 1, "parent": ref, "origin": ref}}
        expected = named_by(above) | named_by(below)
        expected |= {("writ", first), ("writ", b"w"), ("lineage", ORIGIN, first), ("lineage", ORIGIN, b"w")}
        self.assertEqual(rests_on(state, b"w", below), expected)
        away = body | {"cause": {"depth": 1, "parent": ref | {"ledger": "other"}, "origin": ref | {"ledger": "other"}}}
        self.assertNotIn(("principal", "user", "zoe"), rests_on(state, b"w", away))


class ControlTest(BundleCase):
    def test_orders(self):
        reason = {"kind": "halt", "reason": "fire"}
        new = pair()
        keys = {"kind": "root-keys", "threshold": 1, "members": [[key.bytes for key in new]]}
        self.each(
            [
                ("evidence_invalid", resumed),
                ("evidence_invalid", halted, resumed, resumed),
                ("signature_invalid", late("order", signers=MEMBERS[0], **reason)),
                ("signature_invalid", late("order", signers=MEMBERS[0] + MEMBERS[1][:1], **reason)),
                ("unknown_authority", late("order", signers=LEDGER + MEMBERS[1], **reason)),
                ("unknown_authority", late("order", domain=bytes(16), **reason)),
                ("replayed", late("order", id=b"i" * 16, **reason), late("order", id=b"i" * 16, **reason)),
                ("replayed", late("halt", id=b"i" * 16), late("order", id=b"i" * 16, **reason)),
                ("unknown_authority", late("order", **keys), halted),
                ("ok", late("order", **keys), late("order", signers=new, **reason)),
                ("malformed", late("order", **keys | {"members": [[new[0].bytes, new[1].bytes]] * 2})),
                ("ok", late("order", kind="ledger-keys", keys=[key.bytes for key in new])),
            ],
            World.grant,
        )

    def test_gateways(self):
        self.each(
            [
                ("ok", World.renew, late("renew", epoch=3)),
                ("wrong_audience", late("renew", epoch=1)),
                ("wrong_audience", late("renew", epoch=3)),
                ("wrong_audience", late("renew", epoch=2, gateway="other")),
                ("revoked", late("revoke", kind="gateway", gateway="gw"), World.renew),
                ("replayed", late("halt", id=b"i" * 16), late("ordered", kind="halt", id=b"i" * 16)),
            ],
            World.grant,
        )

    def test_enrolled_by_order(self):
        def ordered(**changes):
            return lambda world: world.add("gateway", enrolled(world) | changes, control=True)

        def enrolled(world: World) -> dict:
            policy = world.policy | {"reasons": []}
            action = {"kind": "order", "digest": bytes(32)}
            order = {"id": world.fresh(), "action": action, "policy": policy, "facts": bytes(32), "reason": "new"}
            return world.enrolment(1, OTHER, "other") | {"order": order}

        def by_an_execution(world: World) -> None:
            body = enrolled(world)
            body["order"]["action"]["kind"] = "exec"
            world.add("gateway", body, control=True)

        spoken = {"type": "user", "id": "ann", "auth": "gateway", "key": GATEWAY.bytes}
        self.each(
            [
                ("ok", ordered()),
                ("malformed", by_an_execution),
                ("revoked", late("revoke", kind="principal", type="user", id="ann"), ordered()),
                ("revoked", late("revoke", kind="key", key=sha256(OTHER.bytes)), ordered()),
                ("identity_mismatch", ordered(key=GATEWAY.bytes)),
                ("identity_mismatch", ordered(by=spoken)),
            ],
            World.grant,
        )

    def test_spoken_for(self):
        spoken = {"type": "user", "id": "ann", "auth": "gateway", "key": GATEWAY.bytes}
        nobody = {name: spoken[name] for name in ("type", "id", "auth")}
        self.each(
            [
                ("ok", late("grant", principal=spoken)),
                ("identity_mismatch", late("grant", principal=spoken | {"id": "bob"})),
                ("unknown_authority", late("grant", principal=spoken | {"key": OTHER.bytes})),
                ("unknown_authority", late("grant", principal=nobody)),
                ("wrong_audience", late("grant", principal=spoken, audience={"group": "a"})),
                (
                    "unknown_authority",
                    World.renew,
                    late("grant", principal=spoken, audience={"gateway": "gw", "epoch": 2}),
                ),
                ("revoked", late("revoke", kind="gateway", gateway="gw"), late("grant", principal=spoken)),
            ]
        )

    def test_policies(self):
        revoke = late("revoke", kind="policy", set=sha256(b"set"))
        self.each(
            [
                ("ok", World.activate, late("activate", epoch=2), late("activate", epoch=3)),
                ("ok", World.halt, World.activate),
                ("ok", World.activate, revoke, late("activate", epoch=2, set=sha256(b"other"))),
                ("policy_stale", late("activate", epoch=2)),
                ("policy_stale", World.activate, World.activate),
                ("policy_stale", World.activate, late("activate", epoch=3)),
                ("policy_stale", World.activate, late("activate", epoch=2), World.activate),
                ("revoked", revoke, World.activate),
                ("revoked", World.activate, revoke, late("activate", epoch=2)),
                ("ok", World.tally, World.halt, World.tally),
            ],
            World.grant,
        )
        world = World()
        world.activate()
        world.halt()
        world.seal()
        found = verify_bundle(world.bundle(4, openings=[]), world.trust())
        self.assertEqual(found.result()["type"], "policy")
        self.refused("control_chain_broken", verify_bundle, world.bundle(5, leave_out=[4], openings=[]), world.trust())
        opening = [["policy", SALT, b"set"]]
        verify_bundle(world.bundle(4, openings=opening + [["text", SALT, b"passed"]]), world.trust())
        verify_bundle(world.bundle(4, openings=opening), world.trust())
        for openings in (opening * 2, [["facts", SALT, b"set"]], [["policy", SALT, b"other"]]):
            data = world.bundle(4, openings=openings)
            self.refused("commitment_mismatch", verify_bundle, data, world.trust())
        self.refused("commitment_mismatch", verify_bundle, world.bundle(5, openings=opening), world.trust())
        world = World()
        world.activate(set=sha256(b"other"))
        world.halt()
        world.seal()
        verify_bundle(world.bundle(4, openings=[]), world.trust())
        self.refused("commitment_mismatch", verify_bundle, world.bundle(4, openings=opening), world.trust())

    def test_halts(self):
        found = self.judged("ok", World.grant, halted, World.halt)
        self.assertEqual(found["halted_at"], 5)
        found = self.judged("ok", World.grant, halted, World.halt, resumed)
        self.assertIsNone(found["halted_at"])
        found = self.judged("ok", World.grant, revoked, lineage_revoked)
        self.assertEqual(found["revoked_at"], 5)

    def test_home(self):
        world = World(home="other")
        world.halt()
        world.seal()
        self.refused("control_chain_broken", verify_bundle, world.bundle(2, openings=[]), world.trust())
        world = World()
        world.halt()
        world.seal(control={"ledger": "other", "seq": 2, "head": world.control[-1]})
        world.halt()
        world.seal()
        verify_bundle(world.bundle(2, openings=[]), world.trust())
        data = world.bundle(2, openings=[], also=[5])
        self.refused("control_chain_broken", verify_bundle, data, world.trust())
        for head in ({"ledger": "other"}, {"seq": 1}, {"head": bytes(32)}):
            world = World()
            world.halt()
            world.seal(control={"ledger": ORIGIN, "seq": 2, "head": world.control[-1]} | head)
            self.refused("control_chain_broken", verify_bundle, world.bundle(2, openings=[]), world.trust())


class BundleTest(BundleCase):
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

    def test_subjects_that_are_no_grants(self):
        denied = late("decide", kind="denial", code="policy_denied")
        found = self.judged("ok", denied, openings=[["action", SALT, ACTION]])
        self.assertEqual((found["type"], found["executions"]), ("denial", []))
        erased = {"erased": [[3, bytes(32)]], "reason": "asked", "request": {"key": bytes(16), "digest": bytes(32)}}
        erasure = {"id": bytes(16), "by": {"type": "user", "id": "ann", "auth": "oidc"}, "time_ms": 1} | erased
        policy = {"set": sha256(b"set"), "epoch": 1, "semantics": "cedar-4", "reasons": []}
        erasure |= {"action": {"kind": "order", "digest": bytes(32)}, "facts": bytes(32), "policy": policy}
        self.judged("ok", denied, late("add", kind="erasure", body=erasure), openings=[])
        executed = erasure | {"action": {"kind": "exec", "digest": bytes(32)}}
        self.judged("malformed", denied, late("add", kind="erasure", body=executed), openings=[])
        self.judged("evidence_invalid", World.grant, denied)
        crooked = {"kind": "exec", "digest": commitment("action", SALT, b"crooked")}
        walk = cbor.encode(["writ.action", "walk", 1, {}])
        walking = {"kind": "exec", "digest": commitment("action", SALT, walk)}
        asked = {"key": bytes(16), "digest": commitment("request", SALT, b"please")}
        for code, changes, opening in (
            ("malformed", {"action": crooked}, ["action", SALT, b"crooked"]),
            ("unsupported_version", {"action": walking}, ["action", SALT, walk]),
            ("malformed", {"request": asked}, ["request", SALT, b"please"]),
        ):
            self.judged(code, late("decide", kind="denial", code="policy_denied", **changes), openings=[opening])

    def test_orders_are_decided_like_others(self):
        order = cbor.encode(["writ.action", "order", 1, {"command": "halt", "reason": "fire"}])
        asked = {"kind": "order", "digest": commitment("action", SALT, order)}
        denied = late("decide", kind="denial", code="policy_denied", action=asked)
        self.judged("ok", denied, openings=[["action", SALT, order]])
        for digest, kind, value in ((asked["digest"], "exec", order), (ACTION_DIGEST, "order", ACTION)):
            wrong = late("decide", kind="denial", code="policy_denied", action={"kind": kind, "digest": digest})
            self.judged("commitment_mismatch", wrong, openings=[["action", SALT, value]])

    def test_orders_carried_out(self):
        writ = {"kind": "writ", "writ": bytes(32)}
        policy = {"set": sha256(b"set"), "epoch": 2, "semantics": "cedar-4", "reasons": []}
        asked = {"kind": "exec", "digest": ACTION_DIGEST}
        revoke = late("revoke", **writ)
        cases = [
            ("ok", World.activate, World.halt, revoke),
            ("ok", World.halt, World.activate),
            ("ok", late("halt", policy=policy)),
            ("policy_mismatch", World.activate, late("halt", policy=policy)),
            ("ok", World.activate, late("activate", epoch=2), revoke),
            ("policy_mismatch", World.activate, late("activate", epoch=2), late("halt", policy=policy | {"epoch": 1})),
            ("malformed", late("halt", action=asked)),
            ("malformed", late("ordered", kind="revocation", target=writ, action=asked)),
        ]
        for number, (code, *steps) in enumerate(cases):
            with self.subTest(number, code=code):
                self.judged(code, *steps, openings=[])
        halting, revoking = ({"command": name, "reason": "lost"} for name in ("halt", "revoke"))
        facts = ["facts", SALT, b"facts"]
        for done, right in ((World.halt, halting), (revoke, revoking | {"target": writ})):
            self.judged("ok", done, openings=[["action", SALT, ordering(right)], facts])
        others = [
            ("halt", halting | {"reason": "fire"}),
            ("halt", revoking | {"target": writ}),
            ("revocation", revoking | {"target": writ | {"writ": bytes(range(32))}}),
        ]
        for kind, other in others:
            digest = commitment("action", SALT, ordering(other))
            target = {"target": writ} if kind == "revocation" else {}
            wrong = late("ordered", kind=kind, action={"kind": "order", "digest": digest}, **target)
            self.judged("commitment_mismatch", wrong, openings=[["action", SALT, ordering(other)]])

    def test_refused(self):
        world = whole()
        trust, size = world.trust(), len(world.entries)
        entries = cbor.decode(world.bundle())[2]["entries"]
        swapped, cut, torn = copy.deepcopy(entries), copy.deepcopy(entries), copy.deepcopy(entries)
        swapped[0], swapped[1] = swapped[1], swapped[0]
        cut[2][2], torn[2][2] = cut[2][2][:-32], torn[2][2][:-1]
        cases = [
            ("evidence_incomplete", {"leave_out": [size - 1]}),
            ("control_chain_broken", {"leave_out": [0]}),
            ("control_chain_broken", {"leave_out": [0, 2]}),
            ("control_chain_broken", {"leave_out": [2]}),
            ("evidence_incomplete", {"leave_out": [4]}),
            ("evidence_incomplete", {"leave_out": [6]}),
            ("lineage_broken", {"leave_out": [7]}),
            ("evidence_incomplete", {"subject": size - 1}),
            ("evidence_incomplete", {"subject": 3}),
            ("evidence_invalid", {"subject": 2}),
            ("malformed", {"entries": swapped}),
            ("malformed", {"entries": []}),
            ("malformed", {"entries": torn}),
            ("malformed", {"more": 1}),
            ("proof_invalid", {"entries": cut}),
            ("commitment_mismatch", {"openings": [["facts", SALT, b"other"]]}),
            ("commitment_mismatch", {"openings": [["text", SALT, b"facts"]]}),
            ("commitment_mismatch", {"openings": [["request", SALT, b"facts"]]}),
            ("malformed", {"openings": [["colour", SALT, b"facts"]]}),
        ]
        for code, changes in cases:
            with self.subTest(changes=list(changes)):
                self.refused(code, verify_bundle, world.bundle(**changes), trust)
        self.refused("unknown_authority", verify_bundle, world.bundle(), world.trust(genesis=bytes(32)))
        other = world.trust_text().replace(DOMAIN.hex(), bytes(16).hex())
        self.refused("unknown_authority", verify_bundle, world.bundle(), world.trust(text=other))

    def test_versions(self):
        world = whole()
        trust = world.trust()
        newer = world.bundle().replace(b"bundle\x01", b"bundle\x02")
        self.refused("unsupported_version", verify_bundle, newer, trust)
        crowd = cbor.encode_head(4, MAX_VALUES) + bytes(MAX_VALUES)
        for code, data in (
            ("malformed", b"\x83\x6bwrit.bundle\x01\xa1\x61a" + crowd),
            ("unsupported_version", b"\x83\x6bwrit.bundle\x02\xa1\x61a" + crowd),
            ("malformed", b"\x83\x6bwrit.bundle\x02" + crowd),
            ("malformed", b"\x83\x6bwrit.bundle\x20\xa1\x61a" + crowd),
            ("malformed", crowd),
            ("malformed", b"\x83" + crowd * 3),
        ):
            with self.subTest(data[:16]):
                self.refused(code, verify_bundle, data, trust)

    def test_any_change_of_a_byte_is_a_refusal(self):
        world = whole()
        data, trust = world.bundle(), world.trust()
        for at in range(0, len(data), 211):
            with self.subTest(at), self.assertRaises(Refused):
                verify_bundle(data[:at] + bytes([data[at] ^ 0x15]) + data[at + 1 :], trust)
        for at in range(0, len(data), 499):
            with self.subTest(at), self.assertRaises(Refused):
                verify_bundle(data[:at], trust)


if __name__ == "__main__":
    unittest.main()
