"""What a check found: counts of checked, failed and unknown, by kind, with the reasons."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["checked", "failed", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong, or that cannot be told."""

    kind: str
    outcome: Outcome
    subject: str
    reason: str


@dataclass(slots=True)
class Findings:
    """The result of a verification. Nothing unchecked is ever counted as checked."""

    counts: dict[str, dict[Outcome, int]] = field(
        default_factory=lambda: defaultdict(lambda: {"checked": 0, "failed": 0, "unknown": 0})
    )
    reasons: list[Finding] = field(default_factory=list)

    def good(self, kind: str, count: int = 1) -> None:
        """Count what was checked and is right."""
        self.counts[kind]["checked"] += count

    def failed(self, kind: str, subject: str, reason: str) -> None:
        """Count what was checked and is wrong."""
        self.counts[kind]["failed"] += 1
        self.reasons.append(Finding(kind=kind, outcome="failed", subject=subject, reason=reason))

    def unknown(self, kind: str, subject: str, reason: str) -> None:
        """Count what could not be checked here."""
        self.counts[kind]["unknown"] += 1
        self.reasons.append(Finding(kind=kind, outcome="unknown", subject=subject, reason=reason))

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not any(counts["failed"] for counts in self.counts.values())

    def total(self, outcome: Outcome) -> int:
        """Return how many had this outcome, over all kinds."""
        return sum(counts[outcome] for counts in self.counts.values())

    def document(self) -> dict[str, Any]:
        """Return everything as plain maps and lists, for JSON."""
        return {
            "schema": "verification.1",
            "verdict": "good" if self.is_good else "failed",
            "counts": {kind: dict(counts) for kind, counts in self.counts.items()},
            "findings": [
                {"kind": item.kind, "outcome": item.outcome, "subject": item.subject,
                 "reason": item.reason}
                for item in self.reasons
            ],
        }  # fmt: skip
