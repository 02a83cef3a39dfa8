"""spec/ledger.md, rule 4, of gateways: enrolments, and in whose name an enrolled gateway asks."""

from .keys import fingerprint
from .refusals import Refused, malformed
from .state import State, who


def of_key(state: State, key: bytes | None) -> str | None:
    """The gateway that has, or had, a key."""
    for gateway, enrolments in state.gateways.items():
        if key in (one["key"] for one in enrolments):
            return gateway
    return None


def judge_enrolment(state: State, body: dict) -> None:
    """A key speaks for one gateway, and each epoch follows the one before it."""
    judge_orderer(body["by"])
    if any(one["type"] == "Gateway" for one in body["asserts"]):
        raise malformed("a gateway that may name a gateway")
    if ("gateway", body["gateway"]) in state.revocations:
        raise Refused("revoked", "a gateway of a revoked name")
    if ("key", fingerprint(body["key"])) in state.revocations:
        raise Refused("revoked", "the key of the gateway is revoked")
    if of_key(state, body["key"]) not in (None, body["gateway"]):
        raise Refused("identity_mismatch", "the key is that of another gateway")
    if body["epoch"] != state.current_epoch(body["gateway"]) + 1:
        raise Refused("wrong_audience", "the epoch of a gateway does not follow the one before it")


def speaks(state: State, principal: dict) -> str | None:
    """The gateway in whose words it was asked, if it was."""
    if principal["auth"] != "gateway":
        return None
    gateway = of_key(state, principal.get("key"))
    if gateway is None:
        raise Refused("unknown_authority", "asked by a gateway, and its key is no gateway's")
    return gateway


def judge_speaker(state: State, principal: dict) -> None:
    """A gateway asks in its current epoch, unrevoked, for whom it is enrolled."""
    gateway = speaks(state, principal)
    if gateway is None:
        return
    enrolment = state.gateways[gateway][-1]
    if enrolment["key"] != principal["key"]:
        raise Refused("unknown_authority", "the key is of an epoch of the gateway that has ended")
    if ("gateway", gateway) in state.revocations:
        raise Refused("revoked", "the gateway that asks is revoked")
    if who(principal) not in map(who, enrolment["asserts"]):
        raise Refused("identity_mismatch", "the gateway is not enrolled to ask for this principal")


def judge_own(state: State, principal: dict, audience: dict) -> None:
    """What a gateway asks for in another's name, it executes itself."""
    gateway = speaks(state, principal)
    if gateway is not None and audience.get("gateway") != gateway:
        raise Refused("wrong_audience", "a gateway asks in another's name for what it does not execute itself")


def judge_denied(state: State, principal: dict) -> None:
    """A denial is to whom the gateway has named, or to itself."""
    gateway = speaks(state, principal)
    if gateway is not None and principal["type"] == "Gateway" and principal["id"] != gateway:
        raise Refused("identity_mismatch", "a denial to another gateway than has asked")


def judge_orderer(by: dict) -> None:
    """An order is its giver's own word."""
    if by["auth"] == "gateway":
        raise Refused("identity_mismatch", "a gateway gives no orders in another's name")
