"""spec/ledger.md, "Rules of order", 2 and 4 to 7, and 3 for ids, as a bundle decides them (spec/bundle.md, step 6)."""

from . import gateway, mandate, scope
from .action import read_action
from .entry import CONTROL_TYPES, STATEMENT_KINDS, Entry
from .keys import fingerprint
from .refusals import Refused, malformed
from .state import (
    Execution,
    Hold,
    Recorded,
    State,
    claim,
    distrusted_at,
    revoked_at,
    who,
)
from .statement import (
    Statement,
    judge_manifest_place,
    judge_manifest_signatures,
    judge_root_statement,
    judge_signature,
    read_manifest,
    read_payload,
    read_signed,
)

# Approvals that a hold takes.
ANSWERS_MAX = 256


def refuse_halted_or_revoked(state: State, writ: bytes, body: dict) -> None:
    """Nothing new while halted, and nothing on what is revoked."""
    if state.halted_at is not None:
        raise Refused("halted", f"the domain is halted since entry {state.halted_at}")
    at = revoked_at(state, writ, body)
    if at is not None:
        raise Refused("revoked", f"revoked by entry {at}")


def judge_as_of(state: State, index: int, as_of: dict) -> None:
    """The state a decision stood on is one that this ledger had, if it carries the control chain."""
    home = state.genesis["home"]
    if as_of["ledger"] != home:
        raise malformed("as_of names a ledger that does not carry the control chain")
    if home != state.origin:
        return
    before = [head for at, head in state.control if at < as_of["size"]]
    if as_of["size"] > index or not before or before[-1] != as_of["control"]:
        raise malformed("as_of names a state that this ledger did not have")


def judge_limits(state: State, body: dict) -> None:
    """Window, lease and depth within the limits of genesis."""
    limits, window, lease = state.genesis["limits"], body["window"], body["lease"]
    claimed = (
        ("window", window["until_ms"] - window["from_ms"], limits["window_ms_max"]),
        ("freeze", lease["freeze_after_ms"], limits["freeze_ms_max"]),
        ("kill", lease["kill_after_ms"], limits["kill_ms_max"]),
        ("depth", body["cause"]["depth"], limits["depth_max"]),
    )
    for what, value, most in claimed:
        if value > most:
            raise Refused("scope_widened", f"{what} {value} is over the limit {most}")


def judge_policy(state: State, policy: dict) -> None:
    """What was decided stands on the policy set in force, if there is one, and on the entities in force."""
    if policy.get("entities") != state.entities_ref:
        raise Refused("policy_mismatch", "decided with other entities than those in force")
    for name in ("set", "epoch", "semantics") if state.policy else ():
        if policy[name] != state.policy[name]:
            raise Refused("policy_mismatch", f"decided under another policy {name} than that in force")


def judge_lineage(state: State, index: int, cause: dict) -> None:
    """The parent fits the depth, and nothing at hand shows that it is no grant of this ledger.

    Its own depth and origin are left out, by spec/bundle.md.
    """
    if cause["depth"] == 0:
        return
    parent = cause["parent"]
    if (cause["depth"] == 1) != (parent == cause["origin"]):
        raise Refused("lineage_broken", "exactly at depth 1 the parent is the origin")
    origin = cause["origin"]
    for reference in (parent, origin):
        if reference["ledger"] == state.origin and reference["index"] >= index:
            raise Refused("lineage_broken", "caused by an entry that comes later")
    if parent["ledger"] == state.origin:
        judge_ancestor(state, parent)
    elif origin["ledger"] == state.origin:
        first = judge_ancestor(state, origin)
        if first and first.entry.body["cause"]["depth"] != 0:
            raise Refused("lineage_broken", "the origin is not a grant of depth 0")


def judge_ancestor(state: State, reference: dict) -> Recorded | None:
    """The grant that a reference into this ledger names, if what stands there is at hand."""
    there = state.by_index.get(reference["index"])
    if there and (there.entry.type != "grant" or there.entry.hash != reference["entry"]):
        raise Refused("lineage_broken", "the entry at the index is not that grant")
    return there


def accept_grant(state: State, at: Recorded) -> None:
    """Rule 4, but for what was drawn from a counter, which a bundle does not decide."""
    body, writ = at.entry.body, at.entry.hash
    refuse_halted_or_revoked(state, writ, body)
    audience = body["audience"]
    if "gateway" in audience:
        if audience["gateway"] not in state.gateways:
            raise Refused("unknown_authority", "the audience gateway is not enrolled")
        if audience["epoch"] != state.current_epoch(audience["gateway"]):
            raise Refused("wrong_audience", "the epoch of the audience is not the current one")
    gateway.judge_speaker(state, body["principal"])
    gateway.judge_own(state, body["principal"], audience)
    judge_limits(state, body)
    judge_policy(state, body["policy"])
    judge_as_of(state, at.index, body["as_of"])
    judge_lineage(state, at.index, body["cause"])
    judge_labels(state, body)
    mandate.judge_granted(state, body)
    if "hold" in body:
        judge_approved(state, body, resolved_hold(state, body))
    if "admitted" in body:
        judge_window(body, body["time_ms"])
        begin(state, writ, audience["gateway"], body["admitted"]["execution"], 1)


def open_hold(state: State, ref: dict) -> Hold:
    """The open hold that a reference names."""
    if ref["ledger"] != state.origin:
        raise Refused("approval_rejected", "a hold of another ledger")
    if ref["index"] not in state.by_index:
        raise Refused("evidence_incomplete", "the hold is not in the bundle")
    found = state.holds.get(ref["index"])
    if not found or found.entry.hash != ref["entry"]:
        raise Refused("approval_rejected", "there is no such open hold")
    return found


def resolved_hold(state: State, body: dict) -> Hold:
    """The hold that a grant or denial resolves, which is of the same principal and action."""
    found = open_hold(state, body["hold"])
    hold = found.entry.body
    if who(hold["principal"]) != who(body["principal"]) or hold["action"]["digest"] != body["action"]["digest"]:
        raise Refused("approval_rejected", "the hold is of another principal or action")
    del state.holds[body["hold"]["index"]]
    return found


def judge_approved(state: State, grant: dict, found: Hold) -> None:
    """What was held is granted in time, in its place, when enough have approved it and nobody has rejected it."""
    hold = found.entry.body
    if grant["time_ms"] >= hold["until_ms"]:
        raise Refused("approval_rejected", "the hold has lapsed")
    if grant["cause"] != hold["cause"]:
        raise Refused("approval_rejected", "the hold is of another place in the lineage")
    if found.rejected:
        raise Refused("approval_rejected", "somebody has rejected it")
    for need in hold["needs"]:
        approvers = {
            who(answer["by"])
            for answer in found.answers
            if need["group"] in answer["groups"] and distrusted_at(state, answer["by"]) is None
        }
        if len(approvers) < need["count"]:
            raise Refused("approval_pending", f"group {need['group']} has not approved it yet")


def accept_hold(state: State, at: Recorded) -> None:
    """Rule 4: asked by somebody who is trusted, on a state, a set and a lineage that were so."""
    body = at.entry.body
    if state.halted_at is not None:
        raise Refused("halted", f"the domain is halted since entry {state.halted_at}")
    if distrusted_at(state, body["principal"]) is not None:
        raise Refused("revoked", "who asks is revoked")
    gateway.judge_speaker(state, body["principal"])
    judge_as_of(state, at.index, body["as_of"])
    judge_policy(state, body["policy"])
    judge_lineage(state, at.index, body["cause"])
    found = mandate.judge_under(state, body["cause"], body["principal"])
    if found:
        mandate.refuse_revoked(state, body["cause"]["mandate"])
        scope.judge_window(found[0][1]["scope"], body["time_ms"])
    state.holds[at.index] = Hold(at.entry)


def accept_denial(state: State, at: Recorded) -> None:
    """Rule 4: a denial may end a hold; a mandate that it names is there, and whoever asked is a gateway where it says so."""
    gateway.judge_denied(state, at.entry.body["principal"])
    if "mandate" in at.entry.body["cause"]:
        mandate.chain(state, at.entry.body["cause"]["mandate"])
    if "hold" in at.entry.body:
        resolved_hold(state, at.entry.body)


def causes(state: State, cause: dict) -> list[dict]:
    """The principals of the ancestors, as far as these are at hand."""
    found = []
    while "parent" in cause:
        ancestor = state.grant(cause["parent"]["entry"])
        if not ancestor:
            break
        found.append(ancestor["principal"])
        cause = ancestor["cause"]
    return found


def judge_said(at: Recorded) -> None:
    """What was signed, by the key of the entry, is what the entry says."""
    body, order = at.entry.body, mandate.judge_signed_order(at)
    if order is None or order["command"] != body["verdict"] or order["hold"] != body["hold"]:
        raise Refused("evidence_invalid", "what was signed is not what the approval says")


def accept_approval(state: State, at: Recorded) -> None:
    """Rule 4: an answer to an open hold, in time, by somebody who was asked and has not asked or caused it."""
    body = at.entry.body
    judge_order(state, body)
    judge_said(at)
    found = open_hold(state, body["hold"])
    hold = found.entry.body
    if read_action(at.statement.body["action"])[1]["action"] != hold["action"]["digest"]:
        raise Refused("action_mismatch", "the answer is about another action")
    if body["time_ms"] >= hold["until_ms"] or found.rejected:
        raise Refused("approval_rejected", "the hold has lapsed or was rejected")
    if body["verdict"] == "withdraw":
        if who(body["by"]) != who(hold["principal"]):
            raise Refused("approval_rejected", "only whoever asked withdraws it")
        del state.holds[body["hold"]["index"]]
        return
    if not set(body["groups"]) <= {need["group"] for need in hold["needs"]}:
        raise Refused("approval_rejected", "it counts for a group that is not asked")
    if who(body["by"]) in map(who, [hold["principal"], *causes(state, hold["cause"])]):
        raise Refused("approval_rejected", "nobody answers what they have asked or caused")
    said = (who(body["by"]), body["by"]["key"], body["verdict"])
    if any((who(one["by"]), one["by"]["key"], one["verdict"]) == said for one in found.answers):
        raise Refused("replayed", "this principal has answered so before")
    if len(found.answers) >= ANSWERS_MAX and body["verdict"] == "approve":
        raise Refused("approval_rejected", "it has as many answers as are ever counted")
    found.answers.append(body)


def accept_mandate(state: State, at: Recorded) -> None:
    """Rule 4: an order that was carried out, and what "Mandates" says."""
    judge_order(state, at.entry.body)
    mandate.judge_mandate(state, at)


def judge_labels(state: State, grant: dict) -> None:
    """Rules 4 and 5: what is caused has the labels of its parent; what else its lineage carries, a bundle does not decide."""
    parent = grant["cause"].get("parent")
    known = state.grant(parent["entry"]) if parent and parent["ledger"] == state.origin else None
    for one in known["labels"] if known else ():
        if one not in grant["labels"]:
            raise Refused("labels_missing", f"the parent carries `{one}`")


def judge_window(grant: dict, spent_ms: int) -> None:
    """A use is spent within the window, by a statement or by the grant itself."""
    if spent_ms < grant["window"]["from_ms"]:
        raise Refused("not_yet_valid", "spent before the window")
    if spent_ms >= grant["window"]["until_ms"]:
        raise Refused("expired", "spent after the window")


def begin(state: State, writ: bytes, gateway: str, execution: bytes, use: int) -> None:
    """A use of a writ is spent on a new execution."""
    if (writ, use) in state.used:
        raise Refused("replayed", f"use {use} is already spent")
    if execution in state.executions:
        raise Refused("replayed", "the execution already exists")
    state.used.add((writ, use))
    state.executions[execution] = Execution(writ, gateway, execution)


def judge_gateway(state: State, statement: Statement) -> dict:
    """Rule 5: signed by the key of the enrolment in the stated epoch, ended or not; that enrolment."""
    body = statement.body
    if body["epoch"] > state.current_epoch(body["gateway"]):
        raise Refused("unknown_authority", "a statement of a gateway or epoch that is not enrolled")
    enrolment = state.gateways[body["gateway"]][body["epoch"] - 1]
    judge_signature(statement, enrolment["key"])
    at = state.revocations.get(("key", fingerprint(enrolment["key"])))
    if at is not None:
        raise Refused("revoked", f"the key of the gateway is revoked by entry {at}")
    return enrolment


def judge_audience(state: State, audience: dict, enrolment: dict) -> None:
    """The gateway spends in its current epoch, and is who may execute."""
    if enrolment["epoch"] != state.current_epoch(enrolment["gateway"]):
        raise Refused("wrong_audience", "the epoch of the gateway has ended")
    if "group" in audience:
        if audience["group"] not in enrolment["groups"]:
            raise Refused("wrong_audience", "the gateway is not of the group")
    elif (audience["gateway"], audience["epoch"]) != (enrolment["gateway"], enrolment["epoch"]):
        raise Refused("wrong_audience", "the writ is for another gateway or epoch")


def granted_at(state: State, body: dict) -> dict:
    """The grant that a spend names by entry hash and index."""
    there = state.by_index.get(body["index"])
    if not there:
        raise Refused("evidence_incomplete", "the grant of a spend is not in the bundle")
    if there.entry.type != "grant" or there.entry.hash != body["writ"]:
        raise Refused("missing_writ", "the entry at the index is not a grant with that entry hash")
    return there.entry.body


def accept_spend(state: State, at: Recorded) -> None:
    """Rule 5."""
    body = at.statement.body
    enrolment = judge_gateway(state, at.statement)
    grant = granted_at(state, body)
    judge_in_force(state, body, grant)
    judge_audience(state, grant["audience"], enrolment)
    if body["use"] > grant["uses"]:
        raise Refused("uses_exhausted", f"use {body['use']} of {grant['uses']}")
    begin(state, body["writ"], body["gateway"], body["execution"], body["use"])
    judge_labels(state, grant)
    judge_window(grant, body["time_ms"])


def judge_in_force(state: State, body: dict, grant: dict) -> None:
    """What is spent or started rests on nothing revoked, during no halt."""
    if ("gateway", body["gateway"]) in state.revocations:
        raise Refused("revoked", "the gateway that spends or starts is revoked")
    refuse_halted_or_revoked(state, body["writ"], grant)


def known_execution(state: State, body: dict) -> Execution:
    """The execution of a start or outcome, spent by the same gateway for the same writ."""
    execution = state.executions.get(body["execution"])
    if not execution:
        raise Refused("evidence_incomplete", "the spend of an execution is not in the bundle")
    if (execution.writ, execution.gateway) != (body["writ"], body["gateway"]):
        raise Refused("lineage_broken", "the execution is of another writ or gateway")
    return execution


def accept_start(state: State, at: Recorded) -> None:
    """Rule 6, start."""
    body = at.statement.body
    judge_gateway(state, at.statement)
    execution = known_execution(state, body)
    if execution.started or execution.result:
        raise Refused("replayed", "a start of an execution that was started or has ended")
    grant = state.grant(execution.writ)
    judge_in_force(state, body, grant)
    if body["action"] != grant["action"]["digest"]:
        raise Refused("action_mismatch", "another action was started than granted")
    if body["surroundings"] != grant["surroundings"]["digest"]:
        raise Refused("surroundings_mismatch", "started in other surroundings than granted for")
    execution.started = True


def accept_outcome(state: State, at: Recorded) -> None:
    """Rule 6, outcome."""
    body = at.statement.body
    judge_gateway(state, at.statement)
    execution = known_execution(state, body)
    if execution.result:
        raise Refused("replayed", "a second outcome of an execution")
    if not execution.started and body["result"]["kind"] != "unknown":
        raise Refused("lineage_broken", "the outcome of an execution that was not started")
    execution.result = body["result"]


def accept_report(state: State, at: Recorded) -> None:
    """Rule 6, report: its signature, and of labels an execution under way."""
    judge_gateway(state, at.statement)
    if at.statement.kind == "labelled" and known_execution(state, at.statement.body).result:
        raise Refused("lineage_broken", "labels of an execution that has ended")


def accept_root_order(state: State, at: Recorded) -> None:
    """Rule 7."""
    statement = at.statement
    judge_root_statement(statement, state.genesis["domain"], state.threshold, state.members)
    claim(state, statement.body["id"])
    if statement.kind == "halt":
        halt(state, at)
    elif statement.kind == "resume":
        if state.halted_at is None:
            raise Refused("evidence_invalid", "a resume without a halt in force")
        state.halted_at = None
    elif statement.kind == "root-keys":
        state.threshold, state.members = statement.body["threshold"], statement.body["members"]
    elif statement.kind == "policy-authors":
        state.authors = statement.body["threshold"], statement.body["keys"]


def judge_order(state: State, body: dict) -> None:
    """Rule 4: what was carried out is an order, decided by the set in force."""
    if body["action"]["kind"] != "order":
        raise malformed("an order whose action is of another kind")
    if distrusted_at(state, body["by"]) is not None:
        raise Refused("revoked", "who orders it is revoked")
    gateway.judge_orderer(body["by"])
    judge_policy(state, body["policy"])


def accept_halt(state: State, at: Recorded) -> None:
    """An order of a principal to halt."""
    judge_order(state, at.entry.body)
    halt(state, at)


def halt(state: State, at: Recorded) -> None:
    """The domain is halted since the first halt that is in force."""
    if state.halted_at is None:
        state.halted_at = at.index


def accept_genesis(state: State, at: Recorded) -> None:
    """Genesis sets the root members and the limits."""
    state.genesis = at.entry.body
    state.threshold, state.members = at.entry.body["threshold"], at.entry.body["members"]


def accept_gateway(state: State, at: Recorded) -> None:
    """Rule 4: an order, where it says so; a key for one gateway; an enrolment has epoch 1, a renewal one more."""
    body = at.entry.body
    if "order" in body:
        judge_order(state, body["order"] | {"by": body["by"]})
    gateway.judge_enrolment(state, body)
    state.gateways.setdefault(body["gateway"], []).append(body)


def accept_revocation(state: State, at: Recorded) -> None:
    """Rule 4, and the first revocation of a target counts."""
    judge_order(state, at.entry.body)
    target = at.entry.body["target"]
    fields = {
        "writ": ("writ",),
        "key": ("key",),
        "principal": ("type", "id"),
        "policy": ("set",),
        "lineage": ("ledger", "entry"),
        "gateway": ("gateway",),
        "mandate": ("mandate",),
    }[target["kind"]]
    state.revocations.setdefault((target["kind"], *(target[name] for name in fields)), at.index)


def accept_policy(state: State, at: Recorded) -> None:
    """Rule 4: the epoch follows that in force, and the set is not revoked."""
    body = at.entry.body
    gateway.judge_orderer(body["by"])
    if body["epoch"] != (state.policy["epoch"] if state.policy else 0) + 1:
        raise Refused("policy_stale", "the epoch of a policy set does not follow that in force")
    if ("policy", body["set"]) in state.revocations:
        raise Refused("revoked", "a policy set that is revoked")
    if body.get("entities") != state.entities_ref:
        raise Refused("facts_changed", "a policy set that was compiled with other entities than are in force")
    judge_authors(state, body)
    state.policy = body


def accept_entities(state: State, at: Recorded) -> None:
    """Rule 4: an order, and the epoch follows that in force."""
    body = at.entry.body
    judge_order(state, body)
    if body["epoch"] != (state.entities["epoch"] if state.entities else 0) + 1:
        raise Refused("facts_changed", "the epoch of the entities does not follow that in force")
    state.entities = body


def accept_erasure(state: State, at: Recorded) -> None:
    """Rule 4: an order; what its commitments are, a bundle does not decide."""
    judge_order(state, at.entry.body)


def accept_shadow(state: State, at: Recorded) -> None:
    """Rule 4: it names the state, the set and the lineage that it stood on; nothing else is asked of it."""
    gateway.judge_speaker(state, at.entry.body["principal"])
    judge_as_of(state, at.index, at.entry.body["as_of"])
    judge_policy(state, at.entry.body["policy"])
    judge_lineage(state, at.index, at.entry.body["cause"])
    mandate.judge_under(state, at.entry.body["cause"], at.entry.body["principal"])


def accept_advised(state: State, at: Recorded) -> None:
    """Rule 4: what lets somebody through stands against nothing; all stand on what they say."""
    body = at.entry.body
    if body["decision"] in ("permit", "searched"):
        if state.halted_at is not None:
            raise Refused("halted", f"the domain is halted since entry {state.halted_at}")
        subject = distrusted_at(state, body["subject"]) if "subject" in body else None
        if distrusted_at(state, body["principal"]) is not None or subject is not None:
            raise Refused("revoked", "whoever asks, or whom it is about, is revoked")
        if ("policy", body["policy"]["set"]) in state.revocations:
            raise Refused("revoked", "a policy set that is revoked")
    accept_shadow(state, at)


def judge_authors(state: State, body: dict) -> None:
    """Rule 4: once authors are pinned, a set comes with their signatures, whatever it is decided by."""
    active = state.policy
    if "manifest" not in body:
        if state.authors:
            raise Refused("signature_invalid", "a policy set without the signatures of its authors")
        return
    if not state.authors:
        raise Refused("unknown_authority", "no policy authors are pinned")
    manifest = read_manifest(read_signed(body["manifest"]), state.origin)
    judge_manifest_signatures(manifest, state.genesis["domain"], *state.authors)
    for signer, _ in manifest.signed.signatures:
        if ("key", signer) in state.revocations:
            raise Refused("revoked", "the key of a policy author is revoked")
    epoch, in_force = (active["epoch"], active["set"]) if active else (0, None)
    judge_manifest_place(manifest.body, epoch, in_force, body["time_ms"])
    if (manifest.body["set"], manifest.body["epoch"]) != (body["set"], body["epoch"]):
        raise Refused("policy_mismatch", "the manifest is of another set than the entry")


ACCEPT = {
    "genesis": accept_genesis,
    "gateway": accept_gateway,
    "revocation": accept_revocation,
    "halt": accept_halt,
    "root-order": accept_root_order,
    "policy": accept_policy,
    "entities": accept_entities,
    "grant": accept_grant,
    "hold": accept_hold,
    "denial": accept_denial,
    "approval": accept_approval,
    "mandate": accept_mandate,
    "shadow": accept_shadow,
    "advised": accept_advised,
    "spend": accept_spend,
    "start": accept_start,
    "outcome": accept_outcome,
    "report": accept_report,
    "erasure": accept_erasure,
}


def accept(state: State, index: int, entry: Entry) -> None:
    """Judge an entry against everything before it, then make it part of that."""
    statement = None
    if entry.signed:
        statement = read_payload(entry.signed, state.origin, STATEMENT_KINDS[entry.type])
    for one in (entry.body, entry.body.get("order", {})):
        if "id" in one:
            claim(state, one["id"])
    at = Recorded(index, entry, statement)
    if entry.type in ACCEPT:
        ACCEPT[entry.type](state, at)
    if entry.type in CONTROL_TYPES:
        state.control.append((index, entry.hash))
    state.by_index[index] = at
    state.by_hash[entry.hash] = at
