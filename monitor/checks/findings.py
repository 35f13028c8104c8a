"""What a check finds: one line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from monitor.errors import SetupError


class Severity(str, Enum):
    """What a finding means for the worker."""

    OK = "ok"
    WARNING = "warning"
    """It can work, but perhaps not as well as it should."""
    FAILED = "failed"
    """It cannot work."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    severity
        What it means.
    subject
        What was looked at, such as ``topic inference-events``.
    sentence
        What was found; never holds a secret.
    """

    severity: Severity
    subject: str
    sentence: str


def ok(subject: str, sentence: str) -> Finding:
    """Report that all is well."""
    return Finding(Severity.OK, subject, sentence)


def warning(subject: str, sentence: str) -> Finding:
    """Report something that should be better."""
    return Finding(Severity.WARNING, subject, sentence)


def failed(subject: str, sentence: str) -> Finding:
    """Report something that has to be mended first."""
    return Finding(Severity.FAILED, subject, sentence)


def require(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings when nothing has failed.

    Raises
    ------
    SetupError
        If anything has, one line for each.
    """
    found = list(findings)
    faults = [
        f"{finding.subject}: {finding.sentence}" for finding in found if finding.severity is Severity.FAILED
    ]
    if faults:
        raise SetupError("\n".join(faults))
    return found
