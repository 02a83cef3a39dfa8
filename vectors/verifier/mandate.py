"""spec/ledger.md, "Mandates": who gives them, how a chain of them narrows, and what stays within one."""

from . import scope
from .action import commitment, read_action
from .refusals import Refused
from .state import Recorded, State, mandate_of, mandate_revoked_at, who
from .statement import judge_signature

# Mandates in a chain.
MANDATES_MAX = 8


def judge_signed_order(at: Recorded) -> dict | None:
    """What was signed, by the key of the entry; the order, if it is the one that the entry names."""
    body, said = at.entry.body, at.statement.body
    judge_signature(at.statement, body["by"]["key"])
    kind, order = read_action(said["action"])
    same = (
        said["key"] == body["request"]["key"]
        and commitment("request", said["salt"], body["statement"]) == body["request"]["digest"]
        and commitment("action", said["action_salt"], said["action"]) == body["action"]["digest"]
        and kind == "order"
    )
    return order if same else None


def chain(state: State, ref: dict) -> list[tuple[dict, dict]]:
    """A mandate with those above it, itself first: reference and body of each."""
    found = []
    while ref is not None:
        if ref["ledger"] != state.origin or len(found) >= MANDATES_MAX:
            raise Refused("lineage_broken", "there is no such mandate")
        if ref["index"] not in state.by_index:
            raise Refused("evidence_incomplete", "a mandate is not in the bundle")
        body = mandate_of(state, ref)
        if body is None:
            raise Refused("lineage_broken", "the entry at the index is not that mandate")
        found.append((ref, body))
        ref = body.get("parent")
    return found


def refuse_revoked(state: State, ref: dict) -> None:
    """Neither it, nor one above it, nor what these rest on is revoked."""
    at = mandate_revoked_at(state, ref)
    if at is not None:
        raise Refused("revoked", f"the mandate is revoked by entry {at}")


def judge_mandate(state: State, at: Recorded) -> None:
    """A mandate says what was signed, and what is handed on is so by whom it is for, and narrower."""
    body, order = at.entry.body, judge_signed_order(at)
    command = "delegate" if "parent" in body else "mandate"
    if order is None or order["command"] != command:
        raise Refused("evidence_invalid", "what was signed is not what the mandate says")
    if any(order.get(name) != body.get(name) for name in ("to", "scope", "parent")):
        raise Refused("evidence_invalid", "what was signed is of another mandate")
    if body["time_ms"] >= body["scope"]["window"]["until_ms"]:
        raise Refused("expired", "a mandate that ends before it is given")
    if "parent" not in body:
        return
    above = chain(state, body["parent"])
    refuse_revoked(state, body["parent"])
    if len(above) >= MANDATES_MAX:
        raise Refused("scope_widened", "more mandates than a chain has")
    _, parent = above[0]
    if who(parent["to"]) != who(body["by"]):
        raise Refused("identity_mismatch", "handed on by somebody whom it is not for")
    scope.judge_narrows(body["scope"], parent["scope"])


def judge_under(state: State, cause: dict, principal: dict) -> list[tuple[dict, dict]]:
    """The mandate of a cause, for whoever asks, and not outside that of what caused it."""
    parent = cause.get("parent")
    ancestor = state.grant(parent["entry"]) if parent and parent["ledger"] == state.origin else None
    inherited = ancestor["cause"].get("mandate") if ancestor else None
    if "mandate" not in cause:
        if inherited:
            raise Refused("scope_widened", "it leaves the mandate of what caused it")
        return []
    found = chain(state, cause["mandate"])
    if who(found[0][1]["to"]) != who(principal):
        raise Refused("identity_mismatch", "the mandate is for somebody else")
    if inherited and inherited not in [ref for ref, _ in found]:
        raise Refused("scope_widened", "its mandate is neither that of what caused it nor one below that")
    return found


def judge_granted(state: State, body: dict) -> None:
    """What is granted under a mandate is within it, as far as its entry shows, and counted by all that count."""
    found = judge_under(state, body["cause"], body["principal"])
    if not found:
        return
    own, window = found[0][1]["scope"], body["window"]
    scope.judge_window(own, body["time_ms"])
    audience = body["audience"]
    scope.judge_reach(own, body["cause"]["depth"], audience.get("gateway", audience.get("group")))
    scope.inside(scope.NARROWER["window"](window, own["window"]), "window")
    draws = [one["draws"] for one in body["obligations"] if one["kind"] == "budget"]
    for ref, mandate in found:
        if "uses" not in mandate["scope"]:
            continue
        draw = {"counter": "mandate/" + ref["entry"].hex(), "limit": mandate["scope"]["uses"]}
        scope.inside(any(draw in some for some in draws) and body["uses"] == 1, "uses")


def judge_opened(state: State, decision: Recorded, openings: list) -> None:
    """An execution that is shown is within the mandate of its decision."""
    if decision.entry.type not in ("grant", "hold") or "mandate" not in decision.entry.body["cause"]:
        return
    own = chain(state, decision.entry.body["cause"]["mandate"])[0][1]["scope"]
    for kind, _, value in openings:
        if kind == "action":
            opened, body = read_action(value)
            if opened == "exec":
                scope.judge_action(own, body)
