"""spec/bundle.md: the whole story of one request, in a file."""

from dataclasses import dataclass
from typing import NoReturn

from . import cbor
from .action import OPENING, commitment, open_commitment, principal_of, read_action
from .conventions import entry_hash, sha256
from .entry import CONTROL_TYPES, read_entry
from .keys import ed25519_key
from .ledger import Checkpoint
from .mandate import judge_opened
from .order import accept
from .state import Execution, Recorded, State, revoked_at
from .refusals import Refused, malformed
from .shape import array, byte_string, envelope, record, row, uint
from .statement import read_request, surroundings_digest
from .tree import judge_inclusion
from .trust_root import Ledger, TrustRoot, verify_pinned_checkpoint

MAX_BUNDLE = 67_108_864
# The bundle itself, context, version, body and its four fields; then four for each entry and each opening.
MAX_VALUES = 8 + 4 * 65_536 + 4 * 4_096
OF_ONE_WRIT = ("grant", "spend", "start", "outcome")

BODY = record(
    {
        "checkpoint": byte_string(),
        "entries": array(row(uint(), byte_string(), byte_string()), 1, 65_536, lambda proved: proved[0]),
        "openings": array(OPENING, 0, 4_096),
        "subject": uint(),
    }
)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle."""

    checkpoint: Checkpoint
    subject: Recorded
    entries: list[Recorded]
    writ: bytes | None
    executions: list[Execution]
    revoked_at: int | None
    halted_at: int | None
    openings: list

    def result(self) -> dict:
        """The `ok` of vectors/README.md."""
        return {
            "subject": self.subject.index,
            "type": self.subject.entry.type,
            "executions": [
                {"execution": one.id.hex(), "state": one.state, "result": result_text(one.result)}
                for one in self.executions
            ],
            "revoked_at": self.revoked_at,
            "halted_at": self.halted_at,
            "openings": len(self.openings),
        }


def result_text(result: dict | None) -> str | None:
    """How an execution ended, as `kind:value`."""
    if result is None:
        return None
    return ":".join([result["kind"]] + [str(result[name]) for name in sorted(result) if name != "kind"])


def judge_crowded(data: bytes) -> NoReturn:
    """What has more values than version 1 can have is malformed, unless it is a bundle of another version."""
    decoder = cbor.Decoder(data, 2)
    try:
        if decoder.head()[::2] == (4, 3):
            value = [decoder.item(2), decoder.item(2), {} if decoder.head()[0] == 5 else None]
            envelope(value, "writ.bundle", None, dict)
    except (cbor.Fault, cbor.Crowded):
        pass
    raise malformed("more values than a bundle can have")


def read_form(data: bytes) -> dict:
    """Step 1."""
    if len(data) > MAX_BUNDLE:
        raise malformed("a bundle of more than 67,108,864 bytes")
    try:
        value = cbor.read(data, "bundle", MAX_VALUES)
    except cbor.Crowded:
        judge_crowded(data)
    envelope(value, "writ.bundle", None, dict)
    BODY(value[2], "bundle")
    for index, _, proof in value[2]["entries"]:
        if len(proof) % 32:
            raise malformed(f"the proof of entry {index} is not of whole hashes")
    return value[2]


def read_proved(proved: list, checkpoint: Checkpoint) -> Recorded:
    """Step 3: inclusion, then form."""
    index, data, proof = proved
    hashes = [proof[at : at + 32] for at in range(0, len(proof), 32)]
    judge_inclusion(entry_hash(data), index, checkpoint.size, checkpoint.root, hashes)
    return Recorded(index, read_entry(data, checkpoint.origin))


def judge_closing_seal(entries: list[Recorded], checkpoint: Checkpoint) -> None:
    """Step 4."""
    last = entries[-1]
    if last.entry.type != "seal" or last.index != checkpoint.size - 1:
        raise Refused("evidence_incomplete", "the last entry is not the closing seal of the checkpoint")


def judge_control_chain(entries: list[Recorded], origin: str, pinned: Ledger, domain: bytes) -> None:
    """Step 5: from the pinned genesis, without a gap, to the head in the closing seal."""
    chain = [at for at in entries if at.entry.type in CONTROL_TYPES]
    if not chain or chain[0].index != 0 or chain[0].entry.type != "genesis":
        raise Refused("control_chain_broken", "the control chain does not begin with a genesis at index 0")
    genesis = chain[0].entry
    if genesis.hash != pinned.genesis or genesis.body["domain"] != domain:
        raise Refused("unknown_authority", "genesis or domain are not the pinned ones")
    if genesis.body["keys"] != [pin.key for pin in pinned.keys_for(0)]:
        raise Refused("unknown_authority", "the keys of the genesis are not those pinned for size 0")
    for number, (before, at) in enumerate(zip(chain, chain[1:]), 1):
        if at.entry.body["control"] != {"seq": number, "prev": before.entry.hash}:
            raise Refused("control_chain_broken", f"control entry {number} does not follow the one before it")
    head = {"ledger": origin, "seq": len(chain) - 1, "head": chain[-1].entry.hash}
    if entries[-1].entry.body["control"] != head:
        raise Refused("control_chain_broken", "the closing seal names another head of the control chain")
    if genesis.body["home"] != origin:
        raise Refused("control_chain_broken", "another ledger carries the control chain")
    judge_seals(entries, chain, origin)


def judge_seals(entries: list[Recorded], chain: list[Recorded], origin: str) -> None:
    """Every seal in the bundle names the control head as of its index."""
    for seal in (at for at in entries if at.entry.type == "seal"):
        before = [at for at in chain if at.index < seal.index]
        head = {"ledger": origin, "seq": len(before) - 1, "head": before[-1].entry.hash}
        if seal.entry.body["control"] != head:
            raise Refused("control_chain_broken", f"the seal at index {seal.index} names another control head")


def is_of_one_writ(at: Recorded) -> bool:
    """Whether it is a grant, or a step of an execution; of reports, one of labels."""
    return at.entry.type in OF_ONE_WRIT or (at.entry.type == "report" and at.statement.kind == "labelled")


def writ_of(at: Recorded) -> bytes:
    """The writ that a grant is, or that a spend, start, outcome or report of labels belongs to."""
    return at.statement.body["writ"] if at.statement else at.entry.hash


def judge_subject(entries: list[Recorded], index: int) -> tuple[Recorded, bytes | None]:
    """Step 7: the subject, and its writ if it is or belongs to a grant."""
    found = [at for at in entries if at.index == index]
    if not found or found[0].entry.type == "seal":
        raise Refused("evidence_incomplete", "the subject is not one of the entries, or it is a seal")
    subject = found[0]
    writs = {writ_of(at) for at in entries if is_of_one_writ(at)}
    if not is_of_one_writ(subject):
        if writs:
            raise Refused("evidence_invalid", "a grant or execution that does not belong to the subject")
        return subject, None
    if writs != {writ_of(subject)}:
        raise Refused("evidence_invalid", "grants or executions of more than one writ")
    return subject, writ_of(subject)


def decided(at: Recorded) -> dict:
    """What an entry says of its decision; of an enrolment by order, that stands in a field of its own."""
    return at.entry.body | at.entry.body.get("order", {})


def commitments(at: Recorded) -> set[tuple[str, bytes]]:
    """What an opening can open: action, facts, policy set and request of the decision that the bundle is about."""
    body, held = decided(at), set()
    if "action" in body:
        held.add(("action", body["action"]["digest"]))
    if "facts" in body:
        held.add(("facts", body["facts"]))
    if "text" in body:
        held.add(("text", body["text"]))
    if "content" in body:
        # The kind of what is put in force is the type of the entry.
        held.add((at.entry.type, body["content"]))
    if "report" in body:
        held.add(("text", body["report"]))
    if "request" in body:
        held.add(("request", body["request"]["digest"]))
    return held


# The order that an entry says was carried out.
ORDERED = {
    "revocation": lambda body: {"command": "revoke", "reason": body["reason"], "target": body["target"]},
    "halt": lambda body: {"command": "halt", "reason": body["reason"]},
    "entities": lambda body: {"command": "entities", "reason": body["reason"], "change": body["change"]},
    "erasure": lambda body: {"command": "erase", "reason": body["reason"], "erased": body["erased"]},
    "gateway": lambda body: {
        "command": "enrol",
        "reason": body["reason"],
        **{name: body[name] for name in ("gateway", "epoch", "key", "groups", "asserts")},
    },
}


def judge_question(question: dict, body: dict) -> None:
    """Step 8: a search where the entry says so, and about the subject that it names."""
    searches = question["asks"] != "evaluation"
    if body["decision"] not in ("halted", "revoked") and searches != (body["decision"] == "searched"):
        raise Refused("commitment_mismatch", "the opened question was answered otherwise")
    named = (body["subject"]["type"], body["subject"]["id"]) if "subject" in body else None
    if principal_of(question) != named:
        raise Refused("commitment_mismatch", "the opened question is about another subject")


def judge_openings(openings: list, decision: Recorded, ledger: str) -> None:
    """Step 8: each opens what the decision holds and is what it says beside that, and none is there twice."""
    body, held = decided(decision), commitments(decision)
    for kind, salt, value in openings:
        opened = {(kind, commitment(kind, salt, value))} & held
        action = open_commitment([kind, salt, value], {digest for _, digest in opened})
        if action and action != body["action"]["kind"]:
            raise Refused("commitment_mismatch", f"the opened action is of kind {action}")
        if action and decision.entry.type == "advised":
            judge_question(read_action(value)[1], body)
        if action and decision.entry.type in ORDERED and read_action(value)[1] != ORDERED[decision.entry.type](body):
            raise Refused("commitment_mismatch", "the opened order is not the one that was carried out")
        if kind == "policy" and sha256(value) != body["set"]:
            raise Refused("commitment_mismatch", "the opened policy set is not that of the entry")
        if kind == "request":
            judge_asked(decision, salt, value, ledger)
        if kind == "entities" and sha256(value) != body["change"]:
            raise Refused("commitment_mismatch", "the opened change is not that of the entry")
        held -= opened


# What is asked where an entry of this type is the answer.
ASKED = {
    "grant": ("authorize",),
    "hold": ("authorize",),
    "denial": ("authorize", "order", "shadow"),
    "shadow": ("shadow",),
    "revocation": ("order",),
    "halt": ("order",),
    "approval": ("order",),
    "mandate": ("order",),
    "entities": ("order",),
    "erasure": ("order",),
    "gateway": ("order",),
    "policy": ("order",),
}


def judge_asked(decision: Recorded, salt: bytes, value: bytes, ledger: str) -> None:
    """Step 8, of a request: signed as the decision says, and the one that it answers."""
    body, kinds = decided(decision), ASKED.get(decision.entry.type)
    if kinds is None or (decision.entry.type == "gateway" and "order" not in body):
        return
    asker = body.get("principal") or body["by"]
    signed = asker["auth"] in ("key", "gateway")
    if signed and "key" not in asker:
        raise Refused("unknown_authority", "signed by a key, and nobody says which")
    if signed:
        ed25519_key(asker["key"], "key")
        kind, asked = read_request(value, ledger, asker["key"])
    else:
        kind, asked = read_request(value, ledger, None)
    same = kind in kinds and asked["key"] == body["request"]["key"] and asked["salt"] == salt
    if asker["auth"] == "gateway" and asker["type"] != "Gateway":
        same = same and asked.get("principal") == {"type": asker["type"], "id": asker["id"]}
    if "action" in body:
        digest = commitment("action", asked["action_salt"], asked["action"])
        same = same and digest == body["action"]["digest"]
    if decision.entry.type == "grant":
        same = (
            same
            and asked["holder"] == body["holder"]
            and asked["audience"] == body["audience"]
            and asked.get("admit") == body.get("admitted")
            and surroundings_digest(asked["surroundings"]) == body["surroundings"]["digest"]
        )
    if not same:
        raise Refused("commitment_mismatch", "the opened request is not the one that was answered")


def verify_bundle(data: bytes, trust: TrustRoot) -> Bundle:
    """Section "Verification", step by step."""
    body = read_form(data)
    checkpoint = verify_pinned_checkpoint(body["checkpoint"], trust)
    proved = [read_proved(one, checkpoint) for one in body["entries"]]
    judge_closing_seal(proved, checkpoint)
    judge_control_chain(proved, checkpoint.origin, trust.ledgers[checkpoint.origin], trust.domain)
    state = State(checkpoint.origin)
    for at in proved:
        accept(state, at.index, at.entry)
    entries = list(state.by_index.values())
    subject, writ = judge_subject(entries, body["subject"])
    decision = state.by_hash[writ] if writ else subject
    judge_openings(body["openings"], decision, state.origin)
    judge_opened(state, decision, body["openings"])
    return Bundle(
        checkpoint,
        subject,
        entries,
        writ,
        list(state.executions.values()),
        revoked_at(state, writ, state.grant(writ)) if writ else None,
        state.halted_at,
        body["openings"],
    )
