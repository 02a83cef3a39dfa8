"""spec/entry.md: the parts of entries that actions and statements have too."""

from .conventions import hash32, id16, name, origin
from .refusals import malformed
from .shape import array, both, byte_string, kinds, record, row, uint


def itself(value):
    """The sort key of plain bytes and of ASCII texts, whose order is that of their bytes."""
    return value


def of(*fields: str):
    """The sort key of records of names and labels."""
    return lambda record: tuple(record[field] for field in fields)


def no_zero_byte(value, at) -> None:
    """Bytes of which none is zero."""
    if b"\x00" in value:
        raise malformed(f"{at} contains a zero byte")


ARGUMENT = both(byte_string(), no_zero_byte)
TARGET = kinds(
    {
        "writ": {"writ": hash32},
        "key": {"key": hash32},
        "principal": {"type": name, "id": name},
        "policy": {"set": hash32},
        "lineage": {"ledger": origin, "entry": hash32},
        "gateway": {"gateway": name},
        "mandate": {"mandate": hash32},
    }
)
ENTRY_REF = record({"ledger": origin, "index": uint(), "entry": hash32})
# Commitments in entries, whose values are erased.
ERASED = array(row(uint(), hash32), 1, ascending=tuple)
ADMITTED = record({"execution": id16, "nonce": hash32})


def audience(value, at) -> None:
    """`{gateway, epoch}` or `{group}`."""
    if type(value) is dict and "group" in value:
        record({"group": name})(value, at)
    else:
        record({"gateway": name, "epoch": uint(1)})(value, at)
