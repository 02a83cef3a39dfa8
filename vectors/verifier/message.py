"""spec/statement.md, "Requests signed as HTTP messages": the parts of a message that its signature covers."""

import re
from base64 import b64encode
from dataclasses import dataclass

from . import cbor
from .conventions import sha256
from .keys import fingerprint, verifies
from .refusals import Refused, malformed
from .shape import envelope

CONTEXT = "writ.http-request"
COMPONENTS = ("@method", "@path", "content-digest", "content-type")
MAX_PATH, MAX_INPUT, SIGNATURE_BYTES = 256, 1024, 64
TIME, TEXT = r"(0|[1-9][0-9]{0,14})", r'"([ !#-\[\]-~]*)"'
PARAMETERS = {"created": TIME, "expires": TIME, "keyid": TEXT, "nonce": TEXT, "alg": TEXT}
INPUT = re.compile(r"\(([^)]*)\)((?:;[a-z]+=(?:\"[^\"]*\"|[^;\"]*))*)", re.ASCII)
PARAMETER = re.compile(r";([a-z]+)=(\"[^\"]*\"|[^;\"]*)", re.ASCII)


@dataclass(frozen=True)
class Message:
    """The parts of a well-formed message; its payload and its signature are not judged yet."""

    path: str
    input: str
    signature: bytes
    payload: bytes
    components: list[str]
    keyid: str

    def base(self) -> bytes:
        """What was signed."""
        values = {
            "@method": "POST",
            "@path": self.path,
            "content-digest": f"sha-256=:{b64encode(sha256(self.payload)).decode()}:",
            "content-type": "application/cbor",
        }
        lines = [f'"{component}": {values[component]}' for component in self.components]
        return "\n".join([*lines, f'"@signature-params": {self.input}']).encode()


def read_input(text: str) -> tuple[list[str], str]:
    """What is covered, in its order, and the `keyid`."""
    found = INPUT.fullmatch(text)
    if len(text) > MAX_INPUT or not found:
        raise malformed("not the input of a signature")
    components = found[1].split(" ")
    if sorted(components) != [f'"{component}"' for component in COMPONENTS]:
        raise malformed("it must cover method, path, digest and type, and nothing else")
    said = {}
    for name, value in PARAMETER.findall(found[2]):
        read = re.fullmatch(PARAMETERS[name], value, re.ASCII) if name in PARAMETERS else None
        if read is None or name in said:
            raise malformed(f"not what a signature says as `{name}`")
        said[name] = read[1]
    if "created" not in said or "keyid" not in said:
        raise malformed("a signature says when it was made, and by which key")
    if int(said.get("expires", said["created"])) < int(said["created"]):
        raise malformed("it expires before it was made")
    if said.get("alg", "ed25519") != "ed25519" or not re.fullmatch("key_[0-9a-f]{64}", said["keyid"]):
        raise malformed("not an algorithm or key that signs requests")
    return [component.strip('"') for component in components], said["keyid"]


def is_message(data: bytes) -> bool:
    """Whether it is the form of this section, by the first element."""
    value = cbor.read(data, "signed request")
    return isinstance(value, list) and bool(value) and value[0] == CONTEXT


def read_message(data: bytes) -> Message:
    """The form of the parts."""
    value = cbor.read(data, "signed message")
    envelope(value, CONTEXT, None, str, str, bytes, bytes)
    _, _, path, text, signature, body = value
    if len(signature) != SIGNATURE_BYTES:
        raise malformed("a signature has 64 bytes")
    if not re.fullmatch(r"/[!-~]*", path, re.ASCII) or len(path) > MAX_PATH:
        raise malformed("not the path of a message")
    components, keyid = read_input(text)
    return Message(path, text, signature, body, components, keyid)


def judge_message_signature(message: Message, key: bytes) -> None:
    """Signed by the principal's key."""
    if message.keyid != f"key_{fingerprint(key).hex()}":
        raise Refused("unknown_authority", "not signed by the key it must be signed by")
    if not verifies(key, message.base(), message.signature):
        raise Refused("signature_invalid", "the signature does not verify")
