"""spec/cbor.md, "Structures": fields, types, lengths and ranges; every breach is `malformed`.

A *check* is a function of a value and of the name of its place; it returns nothing or raises.
"""

from collections.abc import Callable

from .refusals import Refused, malformed

Check = Callable[[object, str], None]
MAX_UINT = (1 << 64) - 1


def is_uint(value: object) -> bool:
    """An unsigned integer; false and true are not."""
    return type(value) is int and value >= 0


def uint(least: int = 0, most: int = MAX_UINT) -> Check:
    """An unsigned integer of a range."""

    def check(value, at):
        if not is_uint(value) or not least <= value <= most:
            raise malformed(f"{at} is not an integer from {least} to {most}")

    return check


def byte_string(*lengths: int) -> Check:
    """A byte string, of one of the lengths if any are given."""

    def check(value, at):
        if type(value) is not bytes or (lengths and len(value) not in lengths):
            raise malformed(f"{at} is not a byte string of {lengths or 'any'} bytes")

    return check


def text(value: object, at: str) -> None:
    """Any text."""
    if type(value) is not str:
        raise malformed(f"{at} is not text")


def words(*allowed: str) -> Check:
    """One of some texts."""

    def check(value, at):
        if type(value) is not str or value not in allowed:
            raise malformed(f"{at} is none of {', '.join(sorted(allowed))}")

    return check


def record(required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    """A map with exactly these fields."""
    optional = optional or {}

    def check(value, at):
        if type(value) is not dict:
            raise malformed(f"{at} is not a map")
        for name in value:
            if name not in required and name not in optional:
                raise malformed(f"{at} has an unknown field {name[:64]!r}")
        for name, field in required.items():
            if name not in value:
                raise malformed(f"{at} has no field {name}")
            field(value[name], f"{at}.{name}")
        for name, field in optional.items():
            if name in value:
                field(value[name], f"{at}.{name}")

    return check


def array(element: Check, least: int = 0, most: int | None = 256, ascending: Callable | None = None) -> Check:
    """An array of equal elements, without a limit if `most` is None; with `ascending` their sort keys rise strictly."""

    def check(value, at):
        if type(value) is not list or len(value) < least or (most is not None and len(value) > most):
            raise malformed(f"{at} is not an array of {least} to {most or 'any number of'} elements")
        for number, one in enumerate(value):
            element(one, f"{at}[{number}]")
        if ascending:
            keys = [ascending(one) for one in value]
            if any(not low < high for low, high in zip(keys, keys[1:])):
                raise malformed(f"{at} is not ascending")

    return check


def row(*elements: Check) -> Check:
    """An array of a fixed number of elements, each with a check of its own."""

    def check(value, at):
        if type(value) is not list or len(value) != len(elements):
            raise malformed(f"{at} is not an array of {len(elements)}")
        for number, (one, element) in enumerate(zip(value, elements)):
            element(one, f"{at}[{number}]")

    return check


def kinds(forms: dict[str, dict[str, Check]]) -> Check:
    """A map that tells by its field `kind` which other fields it has."""
    checks = {kind: record({"kind": words(kind)} | fields) for kind, fields in forms.items()}

    def check(value, at):
        if type(value) is not dict or type(value.get("kind")) is not str or value["kind"] not in checks:
            raise malformed(f"{at} has none of the kinds {', '.join(sorted(checks))}")
        checks[value["kind"]](value, at)

    return check


def both(*checks: Check) -> Check:
    """Several checks of one value, in order."""

    def check(value, at):
        for one in checks:
            one(value, at)

    return check


def relation(holds: Callable[[dict], bool], rule: str) -> Check:
    """A rule between fields, to stand after the check of the fields."""

    def check(value, at):
        if not holds(value):
            raise malformed(f"{at}: {rule}")

    return check


def envelope(value: object, context: str, known: dict[str, object] | None, *rest: type) -> None:
    """What is judged before anything else of a structure, in the order of the page.

    An array of its length, context, the types of kind (unless `known` is None), version and the `rest`, of which
    the last is the body or what stands in its place: `malformed`. Then kind and version: `unsupported_version`.
    """
    prefix = 2 if known is None else 3
    if type(value) is not list or len(value) != prefix + len(rest) or value[0] != context:
        raise malformed(f"not a {context}")
    version = value[prefix - 1]
    if (known is not None and type(value[1]) is not str) or not is_uint(version):
        raise malformed(f"{context}: kind or version has another type")
    if any(type(one) is not wanted for one, wanted in zip(value[prefix:], rest)):
        raise malformed(f"{context}: what follows the version has another type")
    if known is not None and value[1] not in known:
        raise Refused("unsupported_version", f"{context}: kind {value[1][:64]!r}")
    if version != 1:
        raise Refused("unsupported_version", f"{context}: version {version}")
