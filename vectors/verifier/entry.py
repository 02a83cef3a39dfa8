"""spec/entry.md: the entries of a ledger, their envelope, types and bodies."""

from dataclasses import dataclass

from . import cbor
from .conventions import entry_hash, hash32, id16, label, name, origin, refusal_code
from .keys import KEY_PAIR, ROOT, ROOT_RELATION, any_key, ed25519_key
from .parts import ADMITTED, ENTRY_REF, ERASED, TARGET, audience, itself, of
from .refusals import Refused, malformed
from .scope import SCOPE
from .shape import (
    array,
    both,
    byte_string,
    envelope,
    kinds,
    record,
    relation,
    uint,
    words,
)
from .message import Message
from .statement import ROOT_KINDS, Signed, read_signed, read_signed_request

MAX_ENTRY = 65_535
NO_ENTRY = bytes(32)
CONTROL_TYPES = frozenset(("genesis", "gateway", "revocation", "halt", "root-order", "policy", "entities"))
# The statement kinds that each type carries.
STATEMENT_KINDS = {
    "spend": ("spent",),
    "start": ("started",),
    "outcome": ("ended",),
    "report": ("labelled", "refused", "heartbeat"),
    "approval": ("order",),
    "mandate": ("order",),
    "root-order": tuple(ROOT_KINDS),
}


@dataclass(frozen=True)
class Entry:
    """An entry whose form holds. `signed` is the envelope in its `statement`, if it has one."""

    type: str
    body: dict
    hash: bytes
    signed: Signed | Message | None


# "Parts used by several bodies"
CONTROL = record({"seq": uint(), "prev": hash32})
REQUEST = record({"key": id16, "digest": hash32})
PRINCIPAL = record({"type": name, "id": name, "auth": label}, {"key": any_key})
ACTION = record({"kind": words("exec", "order"), "digest": hash32})
ADVICE = record({"kind": words("advice"), "digest": hash32})
ANY_ACTION = record({"kind": words("exec", "order", "advice"), "digest": hash32})
ENTITIES_REF = record({"epoch": uint(1), "snapshot": hash32})
POLICY = record(
    {"set": hash32, "epoch": uint(), "semantics": label, "reasons": array(name, ascending=itself)},
    {"entities": ENTITIES_REF},
)
AS_OF = record({"ledger": origin, "size": uint(), "control": hash32})
CAUSE_FIELDS = record({"depth": uint()}, {"parent": ENTRY_REF, "origin": ENTRY_REF, "mandate": ENTRY_REF})
CAUSE = both(
    CAUSE_FIELDS,
    relation(
        lambda cause: ("parent" in cause) == ("origin" in cause) == (cause["depth"] > 0),
        "parent and origin go with a depth over 0",
    ),
)
LIMITS = record(
    {"window_ms_max": uint(1), "freeze_ms_max": uint(1), "kill_ms_max": uint(1), "depth_max": uint()}
)

# "Control entries"
GENESIS = both(
    record(
        {
            "control": CONTROL,
            "domain": id16,
            "cluster": id16,
            "home": origin,
            "keys": KEY_PAIR,
            "limits": LIMITS,
            "time_ms": uint(),
        }
        | ROOT
    ),
    ROOT_RELATION,
    relation(lambda body: body["control"] == {"seq": 0, "prev": NO_ENTRY}, "control is not that of a genesis"),
)
GATEWAY = record(
    {
        "control": CONTROL,
        "request": REQUEST,
        "gateway": name,
        "epoch": uint(1),
        "key": ed25519_key,
        "groups": array(name, ascending=itself),
        "asserts": array(record({"type": name, "id": name}), ascending=of("type", "id")),
        "by": PRINCIPAL,
        "time_ms": uint(),
    },
    {"order": record({"id": id16, "action": ACTION, "policy": POLICY, "facts": hash32, "reason": label})},
)
HALT_FIELDS = {
    "control": CONTROL,
    "request": REQUEST,
    "id": id16,
    "reason": label,
    "by": PRINCIPAL,
    "action": ACTION,
    "policy": POLICY,
    "facts": hash32,
    "time_ms": uint(),
}
GATES = both(
    array(record({"gate": label, "passed": uint()})),
    relation(lambda gates: len({one["gate"] for one in gates}) == len(gates), "a gate is there twice"),
)
ACTIVATION = record(
    {
        "control": CONTROL,
        "request": REQUEST,
        "set": hash32,
        "epoch": uint(1),
        "gates": GATES,
        "semantics": label,
        "content": hash32,
        "by": PRINCIPAL,
        "time_ms": uint(),
    },
    {"entities": ENTITIES_REF, "manifest": byte_string(), "report": hash32},
)
ENTITIES = record(
    HALT_FIELDS | {"epoch": uint(1), "snapshot": hash32, "count": uint(), "change": hash32, "content": hash32}
)

# "Decision entries"
DECISION_FIELDS = {
    "id": id16,
    "request": REQUEST,
    "principal": PRINCIPAL,
    "action": ACTION,
    "as_of": AS_OF,
    "cause": CAUSE,
    "time_ms": uint(),
}
DRAW = record({"counter": name, "limit": uint(1)})
OBLIGATION = kinds(
    {"budget": {"draws": array(DRAW, 1, ascending=of("counter"))}, "sandbox": {"profile": label}}
)
GRANT = both(
    record(
        DECISION_FIELDS
        | {
            "policy": POLICY,
            "scope": record({"kind": words("one")}),
            "audience": audience,
            "surroundings": record(
                {
                    "digest": hash32,
                    "level": words("claimed", "attested"),
                    "components": array(label, ascending=itself),
                }
            ),
            "facts": hash32,
            "window": record({"from_ms": uint(), "until_ms": uint()}),
            "uses": uint(1),
            "lease": record({"freeze_after_ms": uint(1), "kill_after_ms": uint(1)}),
            "obligations": array(OBLIGATION, ascending=of("kind")),
            "labels": array(label, ascending=itself),
            "holder": ed25519_key,
        },
        {"hold": ENTRY_REF, "admitted": ADMITTED},
    ),
    relation(lambda body: body["window"]["from_ms"] < body["window"]["until_ms"], "the window is empty"),
    relation(
        lambda body: body["lease"]["freeze_after_ms"] <= body["lease"]["kill_after_ms"],
        "the lease kills before it freezes",
    ),
    relation(
        lambda body: "admitted" not in body or ("gateway" in body["audience"] and body["uses"] == 1),
        "admitted is only for one use by one gateway",
    ),
)
SHADOW = record(
    {name: value for name, value in DECISION_FIELDS.items() if name != "id"}
    | {
        "action": record({"kind": words("exec"), "digest": hash32}),
        "would": words("permit", "hold", "policy_denied", "evaluation_error", "integrity_failure", "scope_widened"),
        "policy": POLICY,
        "facts": hash32,
    }
)
ADVISED = both(
    record(
        {name: value for name, value in DECISION_FIELDS.items() if name not in ("id", "request")}
        | {
            "action": ADVICE,
            "decision": words(
                "permit", "hold", "searched", "policy_denied", "evaluation_error", "halted", "revoked"
            ),
            "policy": POLICY,
            "facts": hash32,
        },
        {"subject": record({"type": name, "id": name}), "found": uint()},
    ),
    relation(lambda body: ("found" in body) == (body["decision"] == "searched"), "found goes with searched"),
)
NEED = record({"group": name, "count": uint(1, 16)})
APPROVAL = both(
    record(
        {
            "request": REQUEST,
            "id": id16,
            "hold": ENTRY_REF,
            "verdict": words("approve", "reject", "withdraw"),
            "groups": array(name, ascending=itself),
            "by": record({"type": name, "id": name, "auth": label, "key": ed25519_key}),
            "action": record({"kind": words("order"), "digest": hash32}),
            "policy": POLICY,
            "facts": hash32,
            "statement": byte_string(),
            "time_ms": uint(),
        }
    ),
    relation(
        lambda body: bool(body["groups"]) == (body["verdict"] != "withdraw"),
        "an answer is for groups, and a withdrawal for none",
    ),
)
MANDATE = record(
    {
        "request": REQUEST,
        "id": id16,
        "to": record({"type": name, "id": name}),
        "by": record({"type": name, "id": name, "auth": label, "key": ed25519_key}),
        "scope": SCOPE,
        "action": record({"kind": words("order"), "digest": hash32}),
        "policy": POLICY,
        "facts": hash32,
        "statement": byte_string(),
        "time_ms": uint(),
    },
    {"parent": ENTRY_REF},
)
COUNT = record({"code": refusal_code, "count": uint(1)})
TALLY = both(
    record({"counts": array(COUNT, 1, ascending=of("code")), "from_ms": uint(), "time_ms": uint()}),
    relation(lambda body: body["from_ms"] <= body["time_ms"], "the time it covers ends before it begins"),
)

STATEMENT = record({"statement": byte_string()})
TYPES = {
    "genesis": GENESIS,
    "gateway": GATEWAY,
    "revocation": record(HALT_FIELDS | {"target": TARGET}),
    "halt": record(HALT_FIELDS),
    "root-order": record({"control": CONTROL, "statement": byte_string()}),
    "policy": ACTIVATION,
    "entities": ENTITIES,
    "grant": GRANT,
    "denial": record(
        DECISION_FIELDS | {"code": refusal_code, "action": ANY_ACTION}, {"policy": POLICY, "facts": hash32, "hold": ENTRY_REF, "text": hash32}
    ),
    "hold": record(
        DECISION_FIELDS
        | {
            "policy": POLICY,
            "facts": hash32,
            "needs": array(NEED, 1, ascending=of("group")),
            "until_ms": uint(),
        }
    ),
    "approval": APPROVAL,
    "mandate": MANDATE,
    "shadow": SHADOW,
    "advised": ADVISED,
    "tally": TALLY,
    "spend": STATEMENT,
    "start": STATEMENT,
    "outcome": STATEMENT,
    "report": STATEMENT,
    "erasure": record(
        {
            "request": REQUEST,
            "id": id16,
            "erased": ERASED,
            "reason": label,
            "by": PRINCIPAL,
            "action": ACTION,
            "policy": POLICY,
            "facts": hash32,
            "time_ms": uint(),
        }
    ),
    "seal": record(
        {
            "batch": uint(),
            "first": uint(),
            "count": uint(1),
            "control": record({"ledger": origin, "seq": uint(), "head": hash32}),
            "time_ms": uint(),
        }
    ),
}


def read_entry(data: bytes, ledger: str) -> Entry:
    """The five steps of the page's beginning, for bytes read from `ledger`."""
    if len(data) > MAX_ENTRY:
        raise malformed("an entry of more than 65,535 bytes")
    value = cbor.read(data, "entry")
    envelope(value, "writ.entry", TYPES, str, dict)
    _, kind, _, where, body = value
    if where != ledger:
        raise Refused("unknown_authority", "an entry of another ledger")
    TYPES[kind](body, kind)
    read = read_signed_request if kind in ("approval", "mandate") else read_signed
    signed = read(body["statement"]) if kind in STATEMENT_KINDS else None
    if "manifest" in body:
        read_signed(body["manifest"])
    return Entry(kind, body, entry_hash(data), signed)
