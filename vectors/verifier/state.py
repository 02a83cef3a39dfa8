"""What is current as of an index of a ledger, as far as a bundle shows it, and what rests on what (spec/ledger.md, rule 4)."""

from dataclasses import dataclass, field

from .entry import Entry
from .keys import fingerprint
from .refusals import Refused
from .statement import Statement


@dataclass(frozen=True)
class Recorded:
    """An entry at its index, with its statement once that was judged."""

    index: int
    entry: Entry
    statement: Statement | None = None


@dataclass
class Execution:
    """One execution, and how far it is known to have come."""

    writ: bytes
    gateway: str
    id: bytes
    started: bool = False
    result: dict | None = None

    @property
    def state(self) -> str:
        """`spent`, `started` or `ended`."""
        return "ended" if self.result else "started" if self.started else "spent"


@dataclass
class Hold:
    """A hold, and what was answered to it."""

    entry: Entry
    answers: list[dict] = field(default_factory=list)

    @property
    def rejected(self) -> bool:
        """One no is enough."""
        return any(answer["verdict"] == "reject" for answer in self.answers)


@dataclass
class State:
    """What is current as of an index."""

    origin: str
    genesis: dict = field(default_factory=dict)
    threshold: int = 0
    members: list = field(default_factory=list)
    # The enrolments of each gateway, that of epoch 1 first.
    gateways: dict[str, list[dict]] = field(default_factory=dict)
    halted_at: int | None = None
    # The first revocation by target: ("writ", hash), ("key", fingerprint), ("lineage", ledger, entry), …
    revocations: dict[tuple, int] = field(default_factory=dict)
    # The policy entry in force.
    policy: dict | None = None
    # The entities entry in force.
    entities: dict | None = None
    # Who must sign a policy set, once the root has said so: threshold and keys.
    authors: tuple[int, list[bytes]] | None = None
    # The control chain: (index, entry hash).
    control: list[tuple[int, bytes]] = field(default_factory=list)
    ids: set[bytes] = field(default_factory=set)
    by_index: dict[int, Recorded] = field(default_factory=dict)
    by_hash: dict[bytes, Recorded] = field(default_factory=dict)
    # Holds that nothing in the bundle has resolved, by index.
    holds: dict[int, Hold] = field(default_factory=dict)
    used: set[tuple[bytes, int]] = field(default_factory=set)
    executions: dict[bytes, Execution] = field(default_factory=dict)

    def grant(self, writ: bytes) -> dict | None:
        """The body of the grant with this entry hash, if it is at hand."""
        found = self.by_hash.get(writ)
        return found.entry.body if found and found.entry.type == "grant" else None

    @property
    def entities_ref(self) -> dict | None:
        """The entities in force, as decisions name them."""
        return {name: self.entities[name] for name in ("epoch", "snapshot")} if self.entities else None

    def current_epoch(self, gateway: str) -> int:
        """The current epoch of a gateway, 0 if it is not enrolled."""
        return len(self.gateways.get(gateway, ()))


def claim(state: State, one: bytes) -> None:
    """Rule 3: every id is new."""
    if one in state.ids:
        raise Refused("replayed", f"the id {one.hex()} was used before")
    state.ids.add(one)


def named_by(body: dict) -> set[tuple]:
    """What a grant rests on besides itself and its ancestors, as the targets of revocations."""
    principal, audience = body["principal"], body["audience"]
    targets = {("principal", principal["type"], principal["id"]), ("policy", body["policy"]["set"])}
    targets |= {("key", fingerprint(key)) for key in (principal.get("key"), body["holder"]) if key}
    if "gateway" in audience:
        targets.add(("gateway", audience["gateway"]))
    return targets


def rests_on(state: State, writ: bytes, body: dict) -> set[tuple]:
    """Rule 4: what a grant rests on, with what its ancestors in this ledger do, as far as they are at hand."""
    targets = {("writ", writ), ("lineage", state.origin, writ)}
    seen, ahead = {writ}, [body]
    while ahead:
        one = ahead.pop()
        targets |= named_by(one)
        for step in ("parent", "origin"):
            ref = one["cause"].get(step)
            if not ref:
                continue
            targets |= {("writ", ref["entry"]), ("lineage", ref["ledger"], ref["entry"])}
            ancestor = state.grant(ref["entry"]) if ref["ledger"] == state.origin else None
            if ancestor and ref["entry"] not in seen:
                seen.add(ref["entry"])
                ahead.append(ancestor)
    return targets


def mandate_of(state: State, ref: dict) -> dict | None:
    """The body of the mandate that a reference names, if it is at hand."""
    found = state.by_index.get(ref["index"])
    named = found and found.entry.type == "mandate" and found.entry.hash == ref["entry"]
    return found.entry.body if named else None


def mandate_rests_on(state: State, ref: dict | None) -> set[tuple]:
    """What a mandate rests on: itself, those above it, and who gave them, by which key, under which policy set."""
    targets = set()
    while ref:
        targets.add(("mandate", ref["entry"]))
        body = mandate_of(state, ref) if ref["ledger"] == state.origin else None
        if not body:
            break
        by = body["by"]
        targets |= {("principal", *who(by)), ("key", fingerprint(by["key"])), ("policy", body["policy"]["set"])}
        ref = body.get("parent")
    return targets


def first_of(state: State, targets: set[tuple]) -> int | None:
    """The lowest index of a revocation of one of them."""
    return min((state.revocations[target] for target in targets if target in state.revocations), default=None)


def mandate_revoked_at(state: State, ref: dict) -> int | None:
    """The first revocation of a mandate or of what it rests on."""
    return first_of(state, mandate_rests_on(state, ref))


def revoked_at(state: State, writ: bytes, body: dict) -> int | None:
    """The lowest index of a revocation of something that the grant rests on."""
    return first_of(state, rests_on(state, writ, body) | mandate_rests_on(state, body["cause"].get("mandate")))


def who(principal: dict) -> tuple[str, str]:
    """Type and id: how it was authenticated does not matter."""
    return principal["type"], principal["id"]


def distrusted_at(state: State, principal: dict) -> int | None:
    """The first revocation of a principal or of the key that it proved."""
    targets = [("principal", *who(principal))]
    if "key" in principal:
        targets.append(("key", fingerprint(principal["key"])))
    return min((state.revocations[target] for target in targets if target in state.revocations), default=None)
