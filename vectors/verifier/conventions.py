"""spec/README.md, "Conventions": the small forms that every page uses."""

import base64
import binascii
import hashlib
import re

from .refusals import CODES, malformed
from .shape import MAX_UINT, byte_string, words

NAME = re.compile(r"[A-Za-z0-9._\-/:@]{1,128}", re.ASCII)
LABEL = re.compile(r"[a-z0-9._\-]{1,64}", re.ASCII)
DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
HEX = re.compile(r"[0-9a-f]*", re.ASCII)
WHITE_SPACE = "\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# The control characters are those of category Cc.
NOT_IN_ORIGIN = re.compile(f"[{WHITE_SPACE}+\u0000-\u001f\u007f-\u009f]")
NOT_IN_KEY_NAME = NOT_IN_ORIGIN


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def entry_hash(entry: bytes) -> bytes:
    """The entry hash: the Merkle leaf hash of the bytes as received."""
    return sha256(b"\x00", entry)


def matching(pattern: re.Pattern, what: str):
    """The check of a text that must match as a whole."""

    def check(value, at):
        if type(value) is not str or not pattern.fullmatch(value):
            raise malformed(f"{at} is not a {what}")

    return check


name = matching(NAME, "name")
label = matching(LABEL, "label")
hash32 = byte_string(32)
id16 = byte_string(16)
refusal_code = words(*CODES)


SET_PATH = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9_\-][A-Za-z0-9._\-]*(/[A-Za-z0-9_\-][A-Za-z0-9._\-]*)*", re.ASCII)
set_path = matching(SET_PATH, "path of a policy set")


def is_origin(value: str) -> bool:
    """An origin: 1 to 255 bytes without white space, plus and control characters."""
    return 1 <= len(value.encode()) <= 255 and not NOT_IN_ORIGIN.search(value)


def origin(value, at) -> None:
    """The check of an origin."""
    if type(value) is not str or not is_origin(value):
        raise malformed(f"{at} is not an origin")


def decimal(text: str, what: str) -> int:
    """An integer in text: ASCII decimal without leading zeros, of 64 bits."""
    if not DECIMAL.fullmatch(text) or int(text) > MAX_UINT:
        raise malformed(f"{what} is not a decimal integer")
    return int(text)


def from_base64(text: str, what: str) -> bytes:
    """Base64 with padding, in its only canonical form."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise malformed(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise malformed(f"{what} is not canonical base64")
    return raw


def from_hex(text: str, what: str) -> bytes:
    """Lower-case hex."""
    if len(text) % 2 or not HEX.fullmatch(text):
        raise malformed(f"{what} is not lower-case hex")
    return bytes.fromhex(text)
