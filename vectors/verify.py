"""The second implementation: verifies evidence offline, and runs every test vector.

    python verify.py                               run the vectors beside this file
    python verify.py bundle FILE --trust FILE      verify an evidence bundle
    python verify.py writ FILE --trust FILE        verify a writ

Exit status: 0 verified, 1 refused or a vector failed, 2 used wrongly. With --json the result is JSON.
"""

import argparse
import json
import sys
from pathlib import Path

from verifier.bundle import MAX_BUNDLE, verify_bundle
from verifier.refusals import Refused
from verifier.report import bundle_report, writ_report
from verifier.trust_root import MAX_TRUST_ROOT, parse_trust_root
from verifier.vectors import run
from verifier.writ import MAX_WRIT, verify_writ

KINDS = {"bundle": (verify_bundle, bundle_report, MAX_BUNDLE), "writ": (verify_writ, writ_report, MAX_WRIT)}


def read(path: Path, most: int) -> bytes:
    """A file, no further than one byte beyond what is allowed, so that too long stays too long."""
    with path.open("rb") as file:
        return file.read(most + 1)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line; argparse exits with 2 when it is used wrongly."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verify evidence offline, or run the vectors.")
    kinds = parser.add_subparsers(dest="kind", metavar="bundle|writ")
    for kind in KINDS:
        one = kinds.add_parser(kind, help=f"verify a {kind}")
        one.add_argument("file", type=Path, metavar="FILE")
        one.add_argument("--trust", type=Path, metavar="FILE", required=True, help="the trust root")
        one.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """The command."""
    options = parse_arguments(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")
    if options.kind is None:
        return run(Path(__file__).resolve().parent)
    verify, report, most = KINDS[options.kind]
    try:
        data, trust = read(options.file, most), read(options.trust, MAX_TRUST_ROOT)
    except OSError as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2
    try:
        found = verify(data, parse_trust_root(trust))
    except Refused as refused:
        print(f"refused: {refused.code}: {refused.why}", file=sys.stderr)
        return 1
    print(json.dumps(found.result()) if options.json else report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
