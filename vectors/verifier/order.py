"""spec/ledger.md, "Rules of order", 4 to 7, as far as the entries at hand decide them (spec/bundle.md, step 6)."""

from dataclasses import dataclass, field

from .entry import Entry
from .keys import fingerprint
from .refusals import Refused, malformed
from .statement import Statement, judge_gateway_signature, judge_root_statement


@dataclass(frozen=True)
class Recorded:
    """An entry at its index, with its statement if it carries one."""

    index: int
    entry: Entry
    statement: Statement | None


@dataclass
class Execution:
    """One execution, and how far it is known to have come."""

    writ: bytes
    gateway: str
    id: bytes
    state: str = "spent"
    result: dict | None = None


@dataclass
class State:
    """What is current as of an index."""

    origin: str
    genesis: dict = field(default_factory=dict)
    threshold: int = 0
    members: list = field(default_factory=list)
    gateways: dict[str, dict] = field(default_factory=dict)
    halted_at: int | None = None
    # By target: ("writ", hash), ("key", fingerprint), ("lineage", ledger, entry), …
    revocations: dict[tuple, int] = field(default_factory=dict)
    # The control chain: (index, entry hash).
    control: list[tuple[int, bytes]] = field(default_factory=list)
    root_ids: set[bytes] = field(default_factory=set)
    by_index: dict[int, Recorded] = field(default_factory=dict)
    by_hash: dict[bytes, Recorded] = field(default_factory=dict)
    resolved_holds: set[bytes] = field(default_factory=set)
    used: set[tuple[bytes, int]] = field(default_factory=set)
    executions: dict[bytes, Execution] = field(default_factory=dict)

    def grant(self, writ: bytes) -> dict | None:
        """The body of the grant with this entry hash, if it is at hand."""
        found = self.by_hash.get(writ)
        return found.entry.body if found and found.entry.type == "grant" else None


def ancestors(state: State, body: dict) -> set[tuple[str, bytes]]:
    """Everything that is known to have caused a grant."""
    known: set[tuple[str, bytes]] = set()
    ahead = [body]
    while ahead:
        cause = ahead.pop()["cause"]
        for step in ("origin", "parent"):
            if step not in cause:
                continue
            where = (cause[step]["ledger"], cause[step]["entry"])
            parent = state.grant(where[1]) if where[0] == state.origin else None
            if where not in known and parent:
                ahead.append(parent)
            known.add(where)
    return known


def rests_on(state: State, body: dict, writ: bytes | None) -> list[tuple]:
    """The targets whose revocation is one of this grant; `writ` is its entry hash once it has one."""
    principal = body["principal"]
    lineage = ancestors(state, body)
    targets = [("principal", principal["type"], principal["id"]), ("policy", body["policy"]["set"])]
    targets += [("key", fingerprint(key)) for key in (principal.get("key"), body["holder"]) if key]
    if "gateway" in body["audience"]:
        targets.append(("gateway", body["audience"]["gateway"]))
    if writ:
        targets.append(("writ", writ))
        lineage.add((state.origin, writ))
    # A revoked writ of an ancestor is no rule of the page; only the revocation of its lineage reaches further.
    return targets + [("lineage", *step) for step in lineage]


def revoked_at(state: State, body: dict, writ: bytes | None) -> int | None:
    """The index of the first entry that revokes the grant or what it rests on."""
    found = [state.revocations[target] for target in rests_on(state, body, writ) if target in state.revocations]
    return min(found, default=None)


def refuse_halted_or_revoked(state: State, body: dict, writ: bytes | None) -> None:
    """Nothing new while halted, and nothing on what is revoked."""
    if state.halted_at is not None:
        raise Refused("halted", f"the domain is halted since entry {state.halted_at}")
    at = revoked_at(state, body, writ)
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


def judge_lineage(state: State, cause: dict) -> None:
    """Depth and origin follow from the parent, if it is at hand."""
    if cause["depth"] == 0:
        return
    if (cause["depth"] == 1) != (cause["parent"] == cause["origin"]):
        raise Refused("lineage_broken", "exactly at depth 1 the parent is the origin")
    parent = state.by_hash.get(cause["parent"]["entry"])
    if cause["parent"]["ledger"] != state.origin or not parent:
        return
    if parent.entry.type != "grant":
        raise Refused("lineage_broken", "the parent is not a grant")
    above = parent.entry.body["cause"]
    if cause["depth"] != above["depth"] + 1 or cause["origin"] != above.get("origin", cause["parent"]):
        raise Refused("lineage_broken", "depth or origin do not follow from the parent")


def judge_hold(state: State, body: dict) -> None:
    """The hold that a grant resolves is open and of the same principal and action, if it is at hand."""
    hold = state.by_hash.get(body["hold"])
    if not hold:
        return
    fits = (
        hold.entry.type == "hold"
        and body["hold"] not in state.resolved_holds
        and hold.entry.body["action"] == body["action"]
        and all(hold.entry.body["principal"][part] == body["principal"][part] for part in ("type", "id"))
    )
    if not fits:
        raise Refused("approval_rejected", "no open hold of the same principal and action")


def accept_grant(state: State, at: Recorded) -> None:
    """Rule 4."""
    body = at.entry.body
    refuse_halted_or_revoked(state, body, None)
    if "gateway" in body["audience"]:
        gateway = state.gateways.get(body["audience"]["gateway"])
        if not gateway:
            raise Refused("unknown_authority", "the audience gateway is not enrolled")
        if gateway["epoch"] != body["audience"]["epoch"]:
            raise Refused("wrong_audience", "the epoch of the audience is not the current one")
    judge_limits(state, body)
    judge_as_of(state, at.index, body["as_of"])
    judge_lineage(state, body["cause"])
    if "hold" in body:
        judge_hold(state, body)
        state.resolved_holds.add(body["hold"])
    if "admitted" in body:
        begin(state, at.entry.hash, body["audience"]["gateway"], body["admitted"]["execution"], 1)


def begin(state: State, writ: bytes, gateway: str, execution: bytes, use: int) -> None:
    """A use of a writ is spent on a new execution."""
    if (writ, use) in state.used:
        raise Refused("replayed", f"use {use} is already spent")
    if execution in state.executions:
        raise Refused("replayed", "the execution already exists")
    state.used.add((writ, use))
    state.executions[execution] = Execution(writ, gateway, execution)


def judge_gateway(state: State, statement: Statement) -> dict:
    """A statement is signed by the current epoch's key of an enrolled gateway."""
    body = statement.body
    gateway = state.gateways.get(body["gateway"])
    if not gateway:
        raise Refused("unknown_authority", "a statement of a gateway that is not enrolled")
    if gateway["epoch"] != body["epoch"]:
        raise Refused("wrong_audience", "a statement of an epoch that is not the current one")
    judge_gateway_signature(statement, gateway["key"])
    return gateway


def judge_audience(audience: dict, gateway: dict) -> None:
    """The gateway is who may execute."""
    if "group" in audience:
        if audience["group"] not in gateway["groups"]:
            raise Refused("wrong_audience", "the gateway is not of the group")
    elif (audience["gateway"], audience["epoch"]) != (gateway["gateway"], gateway["epoch"]):
        raise Refused("wrong_audience", "the writ is for another gateway or epoch")


def granted_at(state: State, at: Recorded) -> dict:
    """The grant that a spend names by entry hash and index."""
    body = at.statement.body
    there = state.by_index.get(body["index"])
    grant = state.grant(body["writ"])
    if body["index"] >= at.index or (there and there.entry.hash != body["writ"]) or (there and not grant):
        raise Refused("missing_writ", "the writ is not the grant at its index")
    if not there and body["writ"] in state.by_hash:
        raise Refused("missing_writ", "the writ is at another index")
    if not grant:
        raise Refused("evidence_incomplete", "the grant of a spend is not in the bundle")
    return grant


def accept_spend(state: State, at: Recorded) -> None:
    """Rule 5."""
    body = at.statement.body
    gateway = judge_gateway(state, at.statement)
    grant = granted_at(state, at)
    judge_audience(grant["audience"], gateway)
    refuse_halted_or_revoked(state, grant, body["writ"])
    if ("gateway", gateway["gateway"]) in state.revocations:
        raise Refused("revoked", "the gateway that spends is revoked")
    if body["use"] > grant["uses"]:
        raise Refused("uses_exhausted", f"use {body['use']} of {grant['uses']}")
    begin(state, body["writ"], body["gateway"], body["execution"], body["use"])
    if body["time_ms"] < grant["window"]["from_ms"]:
        raise Refused("not_yet_valid", "spent before the window")
    if body["time_ms"] >= grant["window"]["until_ms"]:
        raise Refused("expired", "spent after the window")


def known_execution(state: State, statement: Statement) -> tuple[Execution, dict]:
    """The execution of a start or outcome, which is of the same writ and gateway, and its grant."""
    body = statement.body
    grant = state.grant(body["writ"])
    execution = state.executions.get(body["execution"])
    if not grant and body["writ"] in state.by_hash:
        raise Refused("lineage_broken", "the writ is not a grant")
    if not grant or not execution:
        raise Refused("evidence_incomplete", f"what {statement.kind} follows is not in the bundle")
    if (execution.writ, execution.gateway) != (body["writ"], body["gateway"]):
        raise Refused("lineage_broken", "the execution is of another writ or gateway")
    return execution, grant


def accept_start(state: State, at: Recorded) -> None:
    """Rule 6, start."""
    judge_gateway(state, at.statement)
    execution, grant = known_execution(state, at.statement)
    if execution.state != "spent":
        raise Refused("lineage_broken", f"a start of an execution that is {execution.state}")
    if at.statement.body["action"] != grant["action"]["digest"]:
        raise Refused("action_mismatch", "another action was started than granted")
    if at.statement.body["surroundings"] != grant["surroundings"]["digest"]:
        raise Refused("surroundings_mismatch", "started in other surroundings than granted for")
    execution.state = "started"


def accept_outcome(state: State, at: Recorded) -> None:
    """Rule 6, outcome."""
    judge_gateway(state, at.statement)
    execution, _ = known_execution(state, at.statement)
    result = at.statement.body["result"]
    if execution.state == "ended":
        raise Refused("lineage_broken", "a second outcome of an execution")
    if execution.state == "spent" and result["kind"] != "unknown":
        raise Refused("evidence_incomplete", "the start of an execution that ended is not in the bundle")
    execution.state, execution.result = "ended", result


def accept_report(state: State, at: Recorded) -> None:
    """Rule 6, report: only its signature."""
    judge_gateway(state, at.statement)


def accept_root_order(state: State, at: Recorded) -> None:
    """Rule 7."""
    statement = at.statement
    judge_root_statement(statement, state.genesis["domain"], state.threshold, state.members)
    if statement.body["id"] in state.root_ids:
        raise Refused("replayed", "the same root statement again")
    state.root_ids.add(statement.body["id"])
    if statement.kind == "halt":
        halt(state, at)
    elif statement.kind == "resume":
        if state.halted_at is None:
            raise malformed("a resume without a halt in force")
        state.halted_at = None
    elif statement.kind == "root-keys":
        state.threshold, state.members = statement.body["threshold"], statement.body["members"]


def halt(state: State, at: Recorded) -> None:
    """The domain is halted since the first halt that is in force."""
    if state.halted_at is None:
        state.halted_at = at.index


def accept_genesis(state: State, at: Recorded) -> None:
    """Genesis sets the root members and the limits."""
    state.genesis = at.entry.body
    state.threshold, state.members = at.entry.body["threshold"], at.entry.body["members"]


def accept_gateway(state: State, at: Recorded) -> None:
    """An enrolment has epoch 1, a renewal one more (spec/entry.md); it ends the epoch before it."""
    body = at.entry.body
    before = state.gateways.get(body["gateway"], {"epoch": 0})
    if body["epoch"] != before["epoch"] + 1:
        raise malformed("the epoch of a gateway does not follow the one before it")
    state.gateways[body["gateway"]] = body


def accept_revocation(state: State, at: Recorded) -> None:
    """The first revocation of a target counts."""
    target = at.entry.body["target"]
    fields = {
        "writ": ("writ",),
        "key": ("key",),
        "principal": ("type", "id"),
        "policy": ("set",),
        "lineage": ("ledger", "entry"),
        "gateway": ("gateway",),
    }[target["kind"]]
    state.revocations.setdefault((target["kind"], *(target[name] for name in fields)), at.index)


def accept_denial(state: State, at: Recorded) -> None:
    """A denial resolves its hold as a grant does."""
    if "hold" in at.entry.body:
        state.resolved_holds.add(at.entry.body["hold"])


ACCEPT = {
    "genesis": accept_genesis,
    "gateway": accept_gateway,
    "revocation": accept_revocation,
    "halt": halt,
    "root-order": accept_root_order,
    "grant": accept_grant,
    "denial": accept_denial,
    "spend": accept_spend,
    "start": accept_start,
    "outcome": accept_outcome,
    "report": accept_report,
}


def accept(state: State, at: Recorded) -> None:
    """Judge an entry against everything before it, then make it part of that."""
    if at.entry.type in ACCEPT:
        ACCEPT[at.entry.type](state, at)
    if "control" in at.entry.body and at.entry.type != "seal":
        state.control.append((at.index, at.entry.hash))
    state.by_index[at.index] = at
    state.by_hash[at.entry.hash] = at
