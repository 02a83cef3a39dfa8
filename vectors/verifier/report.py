"""What a bundle or a writ proves, told to a person (spec/bundle.md, "The result tells")."""

from datetime import UTC, datetime

from .action import read_action
from .bundle import Bundle, result_text
from .state import Execution
from .writ import Writ

# The prefix of an entry's own id in text (spec/README.md, "An id").
PREFIXES = {"grant": "writ_", "denial": "deny_", "hold": "hold_", "approval": "ord_", "revocation": "ord_", "halt": "ord_", "entities": "ord_"}


def line(name: str, text: str) -> str:
    """One line of a report."""
    return f"  {name:<12}{text}"


def moment(milliseconds: int) -> str:
    """A time as people write it; one beyond the calendar stays a number."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"


def title(kind: str, body: dict) -> str:
    """An entry as people name it: its type, and its id if it has one."""
    return f"{kind} {PREFIXES.get(kind, '')}{body['id'].hex()}" if "id" in body else kind


def asked(body: dict) -> list[str]:
    """Who asked, and for what."""
    who = body.get("principal") or body.get("by")
    lines = [line("asked by", f"{who['type']} {who['id']} ({who['auth']})")] if who else []
    if "request" in body:
        lines.append(line("request", f"req_{body['request']['key'].hex()}"))
    return lines


def terms(body: dict) -> list[str]:
    """The terms of a grant."""
    audience, window = body["audience"], body["window"]
    where = f"group {audience['group']}" if "group" in audience else f"gateway {audience['gateway']}"
    uses = "one use" if body["uses"] == 1 else f"{body['uses']} uses"
    return [
        line("decided", f"granted, {moment(body['time_ms'])}"),
        line("for", f"{uses} by {where}"),
        line("valid", f"{moment(window['from_ms'])} until {moment(window['until_ms'])}"),
    ]


def decided(kind: str, body: dict) -> list[str]:
    """What an entry says was decided."""
    if kind == "grant":
        return terms(body)
    if kind == "denial":
        return [line("decided", f"denied ({body['code']}), {moment(body['time_ms'])}")]
    if kind == "hold":
        return [line("decided", f"waits for approval, {moment(body['time_ms'])}")]
    if kind == "approval":
        verb = "approved" if body["verdict"] == "approve" else "rejected"
        return [line("answered", f"hold {body['hold']['index']} {verb}, {moment(body['time_ms'])}")]
    return []


def opened(opening: list) -> str:
    """One opening; the words of an action that executes something are shown quoted."""
    kind, _, value = opening
    if kind != "action":
        return line("opened", f"{kind}, {len(value)} bytes")
    action, body = read_action(value)
    if action == "order":
        return line("opened", f"order {' '.join([body['command'], *named(body.get('target', {}))])} ({body['reason']})")
    if action == "advice":
        return line("opened", f"question, {len(value)} bytes")
    return line("opened", f"action {' '.join(ascii(word)[1:] for word in body['argv'])}")


def named(target: dict) -> list[str]:
    """What an order is about, its kind first."""
    fields = sorted(target, key=lambda name: (name != "kind", name))
    return [value.hex() if type(value) is bytes else value for value in map(target.get, fields)]


def executed(one: Execution) -> str:
    """One execution and how far it came."""
    ended = f": {result_text(one.result)}" if one.result else ""
    return line("executed", f"exec_{one.id.hex()} by {one.gateway}, {one.state}{ended}")


def heading(kind: str, body: dict, index: int, size: int, origin: str) -> list[str]:
    """What was verified, and where it is."""
    return [f"verified: {title(kind, body)}", line("proved", f"entry {index} of {size} in {origin}")]


def writ_report(writ: Writ) -> str:
    """The report on a writ."""
    body = writ.entry.body
    return "\n".join(heading("grant", body, writ.index, writ.size, writ.origin) + asked(body) + terms(body))


def bundle_report(bundle: Bundle) -> str:
    """The report on a bundle."""
    subject = told = bundle.subject
    if bundle.writ:
        told = next(at for at in bundle.entries if at.entry.hash == bundle.writ)
    checkpoint = bundle.checkpoint
    lines = heading(subject.entry.type, subject.entry.body, subject.index, checkpoint.size, checkpoint.origin)
    if told is not subject:
        lines.append(line("belongs to", title(told.entry.type, told.entry.body)))
    lines += asked(told.entry.body) + decided(told.entry.type, told.entry.body)
    lines += [executed(one) for one in bundle.executions]
    if bundle.writ and not bundle.executions:
        lines.append(line("executed", "no execution is shown in this bundle"))
    if bundle.writ:
        lines.append(line("revoked", "no" if bundle.revoked_at is None else f"by entry {bundle.revoked_at}"))
    lines.append(line("halted", "no" if bundle.halted_at is None else f"since entry {bundle.halted_at}"))
    return "\n".join(lines + [opened(opening) for opening in bundle.openings])
