"""vectors/README.md: the checks, their inputs and results, and the run over every case."""

import json
from pathlib import Path

from . import action, cbor, entities, entry, keys, ledger, policy_bundle, scope, statement, tree
from .bundle import verify_bundle
from .conventions import from_hex
from .refusals import CODES, Refused
from .trust_root import TrustRoot, parse_trust_root
from .writ import verify_writ


class BadVector(Exception):
    """A vector file that is not what vectors/README.md describes."""


def raw(value: object) -> bytes:
    """Bytes given as lower-case hex."""
    if not isinstance(value, str):
        raise BadVector("bytes are not a string")
    try:
        return from_hex(value, "bytes")
    except Refused as refused:
        raise BadVector(refused.why) from None


def file_of(given: dict) -> bytes:
    """A file or message, as `text` or as `hex`."""
    if ("text" in given) == ("hex" in given):
        raise BadVector("neither or both of text and hex")
    return given["text"].encode() if "text" in given else raw(given["hex"])


def trust_of(given: dict) -> TrustRoot:
    """The trust root of a case, the text of the file."""
    return parse_trust_root(given["trust_root"].encode())


def number(value: object) -> int:
    """An integer, or a decimal string for one that may exceed 2^53."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if type(value) is not int:
        raise BadVector("not an integer")
    return value


def check_cbor(given: dict) -> dict:
    """spec/cbor.md: one item."""
    return {"value": cbor.typed(cbor.decode(raw(given["hex"])))}


def check_entry(given: dict) -> dict:
    """spec/entry.md: an entry read from a ledger."""
    read = entry.read_entry(raw(given["hex"]), given["origin"])
    return {"type": read.type, "hash": read.hash.hex()}


def check_gateway(given: dict) -> dict:
    """spec/statement.md, "Gateway statements"."""
    key = raw(given["key"])
    keys.ed25519_key(key, "key")
    signed = statement.read_signed(raw(given["hex"]))
    read = statement.read_payload(signed, given["origin"], tuple(statement.GATEWAY_KINDS))
    statement.judge_signature(read, key)
    return {"kind": read.kind} | {name: read.body[name] for name in ("gateway", "epoch", "seq")}


def check_root(given: dict) -> dict:
    """spec/statement.md, "Root statements"."""
    members = [[raw(key) for key in pair] for pair in given["members"]]
    signed = statement.read_signed(raw(given["hex"]))
    read = statement.read_payload(signed, given["origin"], tuple(statement.ROOT_KINDS))
    statement.judge_root_statement(read, raw(given["domain"]), number(given["threshold"]), members)
    return {"kind": read.kind}


def check_request(given: dict) -> dict:
    """spec/statement.md, "Requests": signed or bare, with the commitments that its salts make."""
    data, key = raw(given["hex"]), None
    if "key" in given:
        key = raw(given["key"])
        keys.ed25519_key(key, "key")
    kind, body = statement.read_request(data, given["origin"], key)
    around = statement.surroundings_digest(body["surroundings"]).hex() if "surroundings" in body else None
    return {
        "kind": kind,
        "request": action.commitment("request", body["salt"], data).hex(),
        "action": action.commitment("action", body["action_salt"], body["action"]).hex(),
        "surroundings": around,
    }


def check_presentation(given: dict) -> dict:
    """spec/statement.md, "Presentation"."""
    key = raw(given["key"])
    keys.ed25519_key(key, "key")
    body = statement.read_presentation(raw(given["hex"]), given["origin"], key)
    told = {name: body[name].hex() for name in ("writ", "nonce", "action")}
    return told | {name: body[name] for name in ("gateway", "epoch")}


def check_surroundings(given: dict) -> dict:
    """spec/statement.md, "Requests": the surroundings digest."""
    return {"digest": statement.surroundings_digest(given["components"]).hex()}


def check_action(given: dict) -> dict:
    """spec/action.md, "Canonical action"."""
    return {"kind": action.read_action(raw(given["hex"]))[0]}


def check_variables(given: dict) -> dict:
    """spec/action.md: the variables digest."""
    pairs = [(raw(name), raw(value)) for name, value in given["pairs"]]
    return {"digest": action.variables_digest(pairs).hex()}


def check_opening(given: dict) -> dict:
    """spec/action.md, "Opening"."""
    opening = action.read_opening(raw(given["hex"]))
    action.open_commitment(opening, {raw(given["commitment"])})
    return {"kind": opening[0]}


def check_contains(given: dict) -> dict:
    """spec/scope.md, "Contained"."""
    read = scope.read_scope(raw(given["hex"]))
    _, body = action.read_action(raw(given["action"]))
    measured = [(name, value) for name, value in given["surroundings"]]
    scope.judge_contained(read, body, number(given["now_ms"]), given["depth"], given["gateway"], measured)
    return {}


def check_narrows(given: dict) -> dict:
    """spec/scope.md, "Narrower"."""
    scope.judge_narrows(scope.read_scope(raw(given["hex"])), scope.read_scope(raw(given["parent"])))
    return {}


def check_key(given: dict) -> dict:
    """spec/README.md: a key and its fingerprint."""
    key = raw(given["hex"])
    keys.any_key(key, "key")
    return {"fingerprint": keys.fingerprint(key).hex()}


def judge_signature(algorithm: int, given: dict) -> dict:
    """A key refused as a key is malformed; then the signature."""
    key = bytes([algorithm]) + raw(given["key"])
    keys.any_key(key, "key")
    message = raw(given["message"]) if "message" in given else file_of({"text": given["text"]})
    if not keys.verifies(key, message, raw(given["signature"])):
        raise Refused("signature_invalid", "the signature does not verify")
    return {}


def check_ed25519(given: dict) -> dict:
    """spec/ledger.md: the one verification rule."""
    return judge_signature(keys.ED25519, given)


def check_ml_dsa_44(given: dict) -> dict:
    """spec/ledger.md: ML-DSA-44 with an empty context string."""
    return judge_signature(keys.ML_DSA_44, given)


def check_checkpoint(given: dict) -> dict:
    """spec/ledger.md, "Checkpoint"."""
    note = file_of({name: given[name] for name in ("text", "hex") if name in given})
    pins = [ledger.parse_vkey(vkey) for vkey in given["vkeys"]]
    read = ledger.verify_checkpoint(note, given["origin"], pins)
    return {"size": read.size, "root": read.root.hex()}


def check_inclusion(given: dict) -> dict:
    """spec/ledger.md, "Proofs": inclusion."""
    proof = [raw(one) for one in given["proof"]]
    index, size = number(given["index"]), number(given["size"])
    tree.judge_inclusion(raw(given["leaf"]), index, size, raw(given["root"]), proof)
    return {}


def check_consistency(given: dict) -> dict:
    """spec/ledger.md, "Proofs": consistency."""
    old, size = number(given["old_size"]), number(given["size"])
    proof = [raw(one) for one in given["proof"]]
    tree.judge_consistency(old, raw(given["old_root"]), size, raw(given["root"]), proof)
    return {}


def check_writ(given: dict) -> dict:
    """spec/writ.md, "Verification"."""
    data = file_of({name: given[name] for name in ("text", "hex") if name in given})
    return verify_writ(data, trust_of(given)).result()


def check_bundle(given: dict) -> dict:
    """spec/bundle.md, "Verification"."""
    return verify_bundle(raw(given["hex"]), trust_of(given)).result()


def check_trust_root(given: dict) -> dict:
    """spec/trust-root.md."""
    trust = parse_trust_root(file_of(given))
    return {"domain": trust.domain.hex(), "ledgers": list(trust.ledgers)}


def check_policy_bundle(given: dict) -> dict:
    """spec/policy-bundle.md, "Verification"."""
    authors = [raw(key) for key in given["authors"]]
    manifest, files = policy_bundle.read_bundle(raw(given["hex"]), given["origin"])
    statement.judge_manifest_signatures(manifest, raw(given["domain"]), number(given["threshold"]), authors)
    epoch = number(given["epoch"])
    active = raw(given["set"]) if epoch else None
    statement.judge_manifest_place(manifest.body, epoch, active, number(given["now_ms"]))
    body = manifest.body
    return {"epoch": body["epoch"], "set": body["set"].hex(), "files": [path for path, _ in files]}


def check_entities(given: dict) -> dict:
    """spec/entities.md: changes one after another."""
    return {"snapshots": entities.snapshots([raw(one) for one in given["changes"]])}


CHECKS = {
    ("cbor", "cbor"): check_cbor,
    ("entry", "entry"): check_entry,
    ("statement", "gateway"): check_gateway,
    ("statement", "root"): check_root,
    ("statement", "request"): check_request,
    ("statement", "presentation"): check_presentation,
    ("statement", "surroundings"): check_surroundings,
    ("action", "action"): check_action,
    ("action", "variables"): check_variables,
    ("action", "opening"): check_opening,
    ("scope", "contains"): check_contains,
    ("scope", "narrows"): check_narrows,
    ("ledger", "key"): check_key,
    ("ledger", "ed25519"): check_ed25519,
    ("ledger", "ml-dsa-44"): check_ml_dsa_44,
    ("ledger", "checkpoint"): check_checkpoint,
    ("ledger", "inclusion"): check_inclusion,
    ("ledger", "consistency"): check_consistency,
    ("writ", "writ"): check_writ,
    ("bundle", "bundle"): check_bundle,
    ("trust-root", "trust-root"): check_trust_root,
    ("entities", "entities"): check_entities,
    ("policy-bundle", "policy-bundle"): check_policy_bundle,
}


def plain(value: object) -> object:
    """For comparing: an integer is the same as a number and as a decimal string, but false and true are not."""
    if type(value) is int:
        return str(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value


def unique(pairs: list) -> dict:
    """A JSON object that names no member twice."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadVector("a member is there twice")
    return dict(pairs)


def load(path: Path) -> dict:
    """A case of the form that vectors/README.md shows."""
    case = json.loads(path.read_text("utf-8"), object_pairs_hook=unique)
    if not isinstance(case, dict) or set(case) != {"about", "check", "input", "expect"}:
        raise BadVector("a case is not about, check, input and expect")
    expect = case["expect"]
    kinds = {"ok": dict, "refused": str, "fault": str}
    if not isinstance(expect, dict) or len(expect) != 1 or not set(expect) <= set(kinds):
        raise BadVector("expect is not one of ok, refused and fault")
    ((kind, value),) = expect.items()
    if not isinstance(value, kinds[kind]) or (kind == "refused" and value not in CODES):
        raise BadVector("expect has another form or an unknown code")
    if not isinstance(case["about"], str) or not isinstance(case["input"], dict):
        raise BadVector("about is not text or input not an object")
    if (path.parent.name, case["check"]) not in CHECKS:
        raise BadVector(f"no check {case['check']} in {path.parent.name}")
    return case


def outcome(path: Path) -> tuple[object, object]:
    """What a case expects and what came out; equal when it passes."""
    case = load(path)
    try:
        got = {"ok": CHECKS[path.parent.name, case["check"]](case["input"])}
    except Refused as refused:
        got = {"refused": refused.code}
    except cbor.Fault as fault:
        got = {"fault": fault.name}
    return plain(case["expect"]), plain(got)


def shown(value: object) -> str:
    """On one line, not too long."""
    return json.dumps(value)[:400]


def run(root: Path) -> int:
    """Every case under the directory: failures, counts, the sum. The exit status."""
    passed = failed = 0
    for directory in sorted({path.parent for path in root.glob("*/*.json")}):
        paths = sorted(directory.glob("*.json"))
        bad = 0
        for path in paths:
            try:
                expected, got = outcome(path)
            except Exception as error:  # whatever a vector provokes, the run goes on and the case has failed
                expected, got = "a case that can be run", f"{type(error).__name__}: {error}"
            if expected != got:
                bad += 1
                print(f"FAILED {path.relative_to(root)}: expected {shown(expected)}, got {shown(got)}")
        print(f"{directory.name}: {len(paths) - bad} passed, {bad} failed")
        passed, failed = passed + len(paths) - bad, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
