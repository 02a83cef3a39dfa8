"""spec/scope.md: the scopes of mandates, what they contain and which are narrower."""

from . import cbor
from .conventions import hash32, label, name
from .parts import ARGUMENT, itself
from .refusals import Refused, malformed
from .shape import array, both, byte_string, record, relation, text, uint

MAX_SCOPE = 16_384


def parts_of(path: bytes) -> list[bytes] | None:
    """The parts of a path of the form that scopes have, or nothing."""
    if path == b"/":
        return []
    first, *parts = path.split(b"/")
    plain = first == b"" and parts and b"\x00" not in path and not any(part in (b"", b".", b"..") for part in parts)
    return parts if plain else None


def plain_path(value, at) -> None:
    """A path of that form."""
    if parts_of(value) is None:
        raise malformed(f"{at} is not a plain absolute path")


def is_beneath(path: bytes, folder: bytes) -> bool:
    """Whether a path has all parts of a folder, and more."""
    own, above = parts_of(path), parts_of(folder)
    return own is not None and len(own) > len(above) and own[: len(above)] == above


def program_key(program: dict) -> tuple:
    """How programs ascend."""
    exact = "exact" in program
    return (0 if exact else 1, program["exact" if exact else "beneath"], "argv" in program, program.get("argv", []))


PATH = both(byte_string(), plain_path)
ARGV = array(ARGUMENT, 1)


def program_shape(value, at) -> None:
    """A program: exactly one of two paths."""
    record({}, {"exact": PATH, "beneath": PATH, "argv": ARGV})(value, at)
    if ("exact" in value) == ("beneath" in value):
        raise malformed(f"{at} has not just one of exact and beneath")


def small(value, at) -> None:
    """A scope that an entry can hold."""
    if len(cbor.encode(value)) > MAX_SCOPE:
        raise malformed(f"{at} has more than {MAX_SCOPE} bytes")


WINDOW = both(
    record({"from_ms": uint(), "until_ms": uint()}),
    relation(lambda window: window["from_ms"] < window["until_ms"], "empty"),
)
PLACE = record({"name": label, "values": array(text, 1, ascending=lambda value: value.encode())})
SCOPE = both(
    record(
        {"window": WINDOW},
        {
            "uses": uint(1),
            "depth": uint(),
            "folders": array(PATH, 1, ascending=itself),
            "contents": array(hash32, 1, ascending=itself),
            "gateways": array(name, 1, ascending=itself),
            "programs": array(program_shape, 1, ascending=program_key),
            "surroundings": array(PLACE, 1, ascending=lambda place: place["name"]),
        },
    ),
    small,
)


def read_scope(data: bytes) -> dict:
    """A scope by itself, as the vectors give it."""
    value = cbor.read(data, "scope")
    SCOPE(value, "scope")
    return value


def judge_window(scope: dict, now_ms: int) -> None:
    """Whether its time is now."""
    if now_ms < scope["window"]["from_ms"]:
        raise Refused("not_yet_valid", "the mandate begins later")
    if now_ms >= scope["window"]["until_ms"]:
        raise Refused("expired", "the mandate has ended")


def judge_reach(scope: dict, depth: int, gateway: str) -> None:
    """What the entry of a grant shows by itself."""
    inside(depth <= scope.get("depth", depth), "depth")
    inside(gateway in scope.get("gateways", [gateway]), "gateways")


def judge_action(scope: dict, body: dict) -> None:
    """What an execution shows when its action is opened."""
    programs = scope.get("programs")
    inside(programs is None or any(runs(program, body) for program in programs), "programs")
    folders = scope.get("folders")
    inside(folders is None or any(body["cwd"] == one or is_beneath(body["cwd"], one) for one in folders), "folders")
    loaded = [body["executable"]] + ([body["interpreter"]["digest"]] if "interpreter" in body else [])
    inside(all(digest in scope.get("contents", loaded) for digest in loaded), "contents")


def judge_contained(scope: dict, body: dict, now_ms: int, depth: int, gateway: str, measured: list) -> None:
    """Section "Contained"."""
    judge_window(scope, now_ms)
    judge_reach(scope, depth, gateway)
    judge_action(scope, body)
    found = dict(measured)
    for place in scope.get("surroundings", []):
        inside(found.get(place["name"]) in place["values"], f"surroundings {place['name']}")


def inside(holds: bool, which: str) -> None:
    """A constraint that holds."""
    if not holds:
        raise Refused("scope_widened", f"outside the mandate: {which}")


def runs(program: dict, body: dict) -> bool:
    """Whether an action is of a program."""
    argv = program.get("argv", [])
    here = body["path"] == program["exact"] if "exact" in program else is_beneath(body["path"], program["beneath"])
    return here and body["argv"][: len(argv)] == argv


def program_narrows(own: dict, wider: dict) -> bool:
    """Whether a program is within another."""
    argv = wider.get("argv", [])
    if own.get("argv", [])[: len(argv)] != argv:
        return False
    if "exact" in wider:
        return own.get("exact") == wider["exact"]
    path = own["exact"] if "exact" in own else own["beneath"]
    return is_beneath(path, wider["beneath"]) or own.get("beneath") == wider["beneath"]


def all_within(own: list, wider: list, within) -> bool:
    """Whether each element is within one of the parent's."""
    return all(any(within(one, other) for other in wider) for one in own)


def places_narrow(own: list, wider: list) -> bool:
    """Whether what the parent says of surroundings is said here, and no wider."""
    here = {place["name"]: place["values"] for place in own}
    return all(set(here.get(place["name"], [None])) <= set(place["values"]) for place in wider)


def same(one, other) -> bool:
    """Equal."""
    return one == other


NARROWER = {
    "window": lambda own, wider: own["from_ms"] >= wider["from_ms"] and own["until_ms"] <= wider["until_ms"],
    "uses": lambda own, wider: own <= wider,
    "depth": lambda own, wider: own <= wider,
    "gateways": lambda own, wider: all_within(own, wider, same),
    "contents": lambda own, wider: all_within(own, wider, same),
    "programs": lambda own, wider: all_within(own, wider, program_narrows),
    "folders": lambda own, wider: all_within(own, wider, lambda one, other: one == other or is_beneath(one, other)),
    "surroundings": places_narrow,
}


def judge_narrows(child: dict, parent: dict) -> None:
    """Section "Narrower"."""
    for field, wider in parent.items():
        if field not in child or not NARROWER[field](child[field], wider):
            raise Refused("scope_widened", f"{field} allows more than that of the mandate above")
