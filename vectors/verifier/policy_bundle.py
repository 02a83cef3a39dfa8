"""spec/policy-bundle.md: a policy set with the manifest that its authors have signed."""

from . import cbor
from .conventions import set_path, sha256
from .refusals import Refused, malformed
from .shape import array, byte_string, envelope, row
from .statement import Statement, read_manifest, read_signed

MAX_BUNDLE = 4_325_376
MAX_FILES = 4_063_232
FILES = array(row(set_path, byte_string()), 1, 256, ascending=lambda file: file[0])


def set_digest(files: list) -> bytes:
    """Section "The set": the digest of files, ascending by path."""
    return sha256(cbor.encode(["writ.policy", 1, files]))


def read_bundle(data: bytes, ledger: str) -> tuple[Statement, list]:
    """Section "Verification", steps 1 to 4: the manifest, whose signatures are not judged, and the files it lists."""
    if len(data) > MAX_BUNDLE:
        raise malformed("a policy bundle of more than 4,325,376 bytes")
    value = cbor.read(data, "policy bundle")
    envelope(value, "writ.policy-bundle", None, bytes, list)
    files = value[3]
    FILES(files, "files")
    if sum(len(content) for _, content in files) > MAX_FILES:
        raise malformed("files of more than 4,063,232 bytes")
    manifest = read_manifest(read_signed(value[2]), ledger)
    found = [[path, len(content), sha256(content)] for path, content in files]
    if found != manifest.body["files"]:
        raise Refused("integrity_failure", "the files are not those that the manifest lists")
    if set_digest(files) != manifest.body["set"]:
        raise Refused("integrity_failure", "the digest of the set is not that of the files")
    return manifest, files
