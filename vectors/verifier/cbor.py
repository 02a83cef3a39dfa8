"""spec/cbor.md: the deterministic subset of CBOR, decoded strictly."""

import math
import struct

from .refusals import malformed

MAX_DEPTH = 16

FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
SIMPLE = {20: False, 21: True, 22: None}
# Below these an argument needed no head of this length.
LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}


class Fault(Exception):
    """The first fault met, by its name in spec/cbor.md, "Faults"."""

    def __init__(self, name: str, at: int):
        super().__init__(f"{name} at byte {at}")
        self.name = name


class Crowded(Exception):
    """More values than the caller has a use for; no fault of the encoding."""


class Decoder:
    """Reads one item from the front and raises the first fault it meets."""

    def __init__(self, data: bytes, most: int | None = None):
        self.data = data
        self.at = 0
        self.left = len(data) + 1 if most is None else most

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or `truncated`."""
        if count > len(self.data) - self.at:
            raise Fault("truncated", len(self.data))
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self) -> tuple[int, int, int]:
        """Major type, additional information and argument, judged as a head alone."""
        start = self.at
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info == 31:
            raise Fault("indefinite_length", start)
        if info >= 28:
            raise Fault("reserved", start)
        argument = int.from_bytes(self.take(1 << (info - 24)), "big")
        if major != 7 and argument < LEAST[info]:
            raise Fault("not_shortest", start)
        return major, info, argument

    def item(self, level: int):
        """One item; `level` is that of a container if it is one, 1 for the outermost."""
        self.left -= 1
        if self.left < 0:
            raise Crowded
        start = self.at
        major, info, argument = self.head()
        if major == 0:
            return argument
        if major == 1:
            if argument >= 1 << 63:
                raise Fault("integer_range", start)
            return -1 - argument
        if major == 2:
            return self.take(argument)
        if major == 3:
            return self.text(argument)
        if major == 6:
            raise Fault("tag", start)
        if major == 7:
            return self.simple_or_float(info, argument)
        return self.container(major, argument, level)

    def text(self, length: int) -> str:
        """A text string of which the head has been read."""
        raw = self.take(length)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Fault("invalid_utf8", self.at) from None

    def container(self, major: int, count: int, level: int):
        """An array or map of which the head has been read: its declared length is judged, then its level."""
        least = 1 if major == 4 else 2
        if count * least > len(self.data) - self.at:
            raise Fault("truncated", len(self.data))
        if level > MAX_DEPTH:
            raise Fault("too_deep", self.at)
        if major == 4:
            return [self.item(level + 1) for _ in range(count)]
        return self.map(count, level)

    def map(self, count: int, level: int) -> dict:
        """The pairs of a map: text keys, ascending by their encoded bytes."""
        out = {}
        before = b""
        for _ in range(count):
            start = self.at
            major, _, length = self.head()
            if major != 3:
                raise Fault("key_not_text", start)
            key = self.text(length)
            encoded = self.data[start : self.at]
            if encoded == before:
                raise Fault("duplicate_key", start)
            if encoded < before:
                raise Fault("unsorted_keys", start)
            before = encoded
            out[key] = self.item(level + 1)
        return out

    def simple_or_float(self, info: int, argument: int):
        """Major type 7: false, true, null, or a float (non-finite, then reducible, then not shortest)."""
        if info not in FLOATS:
            if info not in SIMPLE:
                raise Fault("simple", self.at)
            return SIMPLE[info]
        form, size = FLOATS[info]
        value = struct.unpack(form, argument.to_bytes(size, "big"))[0]
        if not math.isfinite(value):
            raise Fault("non_finite_float", self.at)
        if value.is_integer() and -(1 << 63) <= int(value) < 1 << 64:
            raise Fault("reducible_float", self.at)
        for shorter, width in FLOATS.values():
            if width < size and fits(shorter, value):
                raise Fault("not_shortest", self.at)
        return value


def fits(form: str, value: float) -> bool:
    """Whether a float of this form holds the value exactly."""
    try:
        return struct.unpack(form, struct.pack(form, value))[0] == value
    except OverflowError:
        return False


def decode(data: bytes, most: int | None = None):
    """The one item in `data`, as int, bytes, str, list, dict, bool, None or float.

    Raises Fault, and Crowded when it meets more than `most` values before a fault.
    """
    decoder = Decoder(data, most)
    value = decoder.item(1)
    if decoder.at != len(data):
        raise Fault("trailing_bytes", decoder.at)
    return value


def read(data: bytes, what: str, most: int | None = None):
    """`decode` for verifiers: every fault becomes `malformed`."""
    try:
        return decode(data, most)
    except Fault as fault:
        raise malformed(f"{what}: {fault}") from None


def encode_head(major: int, argument: int) -> bytes:
    """The shortest head."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | info]) + argument.to_bytes(size, "big")
    raise ValueError("over 2^64-1")


def encode(value) -> bytes:
    """The encoding of a value without floats; only what a verifier has to build itself needs it."""
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return encode_head(0, value) if value >= 0 else encode_head(1, -1 - value)
    if isinstance(value, bytes):
        return encode_head(2, len(value)) + value
    if isinstance(value, str):
        return encode_head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return encode_head(4, len(value)) + b"".join(map(encode, value))
    pairs = sorted((encode(key), encode(element)) for key, element in value.items())
    return encode_head(5, len(pairs)) + b"".join(key + element for key, element in pairs)


def typed(value) -> list:
    """The typed value of vectors/README.md; that of a key is typed too."""
    if value is None:
        return ["null"]
    if isinstance(value, bool):
        return ["bool", value]
    if isinstance(value, int):
        return ["uint" if value >= 0 else "nint", str(value)]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, str):
        return ["text", value]
    if isinstance(value, float):
        return ["float", struct.pack(">d", value).hex()]
    if isinstance(value, list):
        return ["array", [typed(element) for element in value]]
    return ["map", [[typed(key), typed(element)] for key, element in value.items()]]
