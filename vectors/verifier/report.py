"""What a bundle or a writ proves, told to a person (spec/bundle.md, "The result tells")."""

from datetime import UTC, datetime

from .action import read_action
from .bundle import Bundle, result_text
from .writ import Writ


def moment(milliseconds: int) -> str:
    """A time as people write it; one beyond the calendar stays a number."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"


def asked(body: dict) -> list[str]:
    """Who asked for what."""
    who = body.get("principal") or body.get("by")
    lines = []
    if "request" in body:
        lines.append(f"asked:    request {body['request']['key'].hex()}")
    if who:
        lines.append(f"          by {who['type']} {who['id']} ({who['auth']})")
    if "action" in body:
        lines.append(f"          action {body['action']['kind']} {body['action']['digest'].hex()}")
    return lines


def granted(body: dict) -> list[str]:
    """The terms of a grant."""
    audience, window = body["audience"], body["window"]
    where = f"group {audience['group']}" if "group" in audience else f"gateway {audience['gateway']}"
    return [
        f"decided:  granted at {moment(body['time_ms'])}, policy set {body['policy']['set'].hex()}",
        f"          {body['uses']} use(s) by {where}",
        f"          from {moment(window['from_ms'])} until {moment(window['until_ms'])}",
    ]


def decided(kind: str, body: dict) -> list[str]:
    """What an entry says was decided."""
    if kind == "grant":
        return granted(body)
    if kind == "denial":
        return [f"decided:  denied ({body['code']}) at {moment(body['time_ms'])}"]
    if kind == "hold":
        return [f"decided:  held for approval at {moment(body['time_ms'])}"]
    return [f"recorded: {kind}"]


def opened(opening: list) -> str:
    """One opening; bytes of others are shown quoted."""
    kind, _, value = opening
    if kind != "action":
        return f"opened:   {kind}, {len(value)} bytes"
    return f"opened:   action {' '.join(ascii(word)[1:] for word in read_action(value)[1]['argv'])}"


def writ_report(writ: Writ) -> str:
    """The report on a writ."""
    body = writ.entry.body
    lines = [f"writ {writ.entry.hash.hex()}"]
    lines.append(f"proved:   entry {writ.index} of {writ.size} in {writ.origin}")
    return "\n".join(lines + asked(body) + granted(body))


def bundle_report(bundle: Bundle) -> str:
    """The report on a bundle."""
    told = bundle.subject
    if bundle.writ:
        told = next(at for at in bundle.entries if at.entry.hash == bundle.writ)
    lines = [f"{bundle.subject.entry.type} {bundle.subject.entry.hash.hex()}"]
    lines.append(
        f"proved:   entry {bundle.subject.index} of {bundle.checkpoint.size} in {bundle.checkpoint.origin}"
    )
    lines += asked(told.entry.body) + decided(told.entry.type, told.entry.body)
    for one in bundle.executions:
        ended = f", {result_text(one.result)}" if one.result else ""
        lines.append(f"executed: {one.id.hex()} by {one.gateway}: {one.state}{ended}")
    if bundle.writ and not bundle.executions:
        lines.append("executed: no use is recorded")
    if bundle.writ:
        lines.append(f"revoked:  {'no' if bundle.revoked_at is None else f'by entry {bundle.revoked_at}'}")
    lines.append(f"halted:   {'no' if bundle.halted_at is None else f'since entry {bundle.halted_at}'}")
    return "\n".join(lines + [opened(opening) for opening in bundle.openings])
