"""spec/refusals.md: the closed list of refusal codes."""

PROOF = (
    "missing_writ malformed unsupported_version unknown_authority signature_invalid proof_invalid "
    "witness_quorum_missing not_a_writ control_chain_broken evidence_incomplete evidence_invalid "
    "commitment_mismatch"
)
USE = (
    "wrong_audience not_yet_valid expired action_mismatch policy_mismatch policy_stale "
    "surroundings_mismatch integrity_failure identity_mismatch holder_proof_invalid replayed "
    "uses_exhausted revoked halted lineage_broken scope_widened labels_missing view_stale clock_untrusted budget_exceeded"
)
DECISION = (
    "policy_denied evaluation_error gate_failed approval_pending approval_rejected unauthenticated rate_limited "
    "facts_changed still_needed"
)
SERVICE = "authority_unreachable ledger_unavailable internal"

CODES = frozenset(" ".join((PROOF, USE, DECISION, SERVICE)).split())


class Refused(Exception):
    """A refusal: a stable code and, for people, the reason."""

    def __init__(self, code: str, why: str):
        assert code in CODES, code
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why


def malformed(why: str) -> Refused:
    """The most frequent refusal, ready to be raised."""
    return Refused("malformed", why)
