"""The ledger: every claim of the papers, what measures it, and the verdict that follows from the numbers by rule."""

from paperkit.claims.entries import Claim, Group, claims, groups
from paperkit.claims.evidence import Evidence
from paperkit.claims.ledger import Finding, check, judge, ledger

__all__ = ["Claim", "Evidence", "Finding", "Group", "check", "claims", "groups", "judge", "ledger"]
