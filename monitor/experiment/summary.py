"""What a study found, in a few lines for the terminal."""

from __future__ import annotations

from typing import Any

from monitor.experiment.report import detection_table
from monitor.experiment.study import CLEAN, KINDS, POOLED, StudyResult

NEVER = "never"
TOO_FEW = "too few"
"""Not seen, but there were not enough corrupted instances for batches with a larger share."""

_NAME, _SEVERITY, _ACCURACY, _CELL = 22, 5, 9, 10
"""Widths of the table's columns, in characters."""


def summary_lines(result: StudyResult) -> list[str]:
    """Say for each corruption and severity what the classifier lost and what the tests saw.

    Columns: accuracy; mean scores of harmful and harmless instances; and for each test the share of harmful
    and of harmless instances in a batch from which the mean p-value stays below the threshold.
    """
    accuracy = {(row.corruption, row.severity): row for row in result.accuracy}
    means = {(row.corruption, row.severity, row.kind): row.mean for row in result.scores}
    seen = {
        (row["corruption"], row["severity"], row["kind"], row["alternative"]): row
        for row in detection_table(result)
    }
    lines = [*_introduction(result, means[CLEAN, 0, CLEAN]), "", *_headings(result)]
    for group in result.groups:
        for severity in result.severities:
            if (group, severity) not in accuracy:
                continue
            cells = [f"{means[group, severity, kind]:.3f}" for kind in KINDS]
            cells += [
                _say(seen.get((group, severity, kind, alternative)), max(result.settings.percentages))
                for alternative in result.settings.alternatives
                for kind in KINDS
            ]
            share = accuracy[group, severity].accuracy
            lines.append(
                f"{group:<{_NAME}}{severity:<{_SEVERITY}}{share:>{_ACCURACY}.1%}"
                + "".join(f"{cell:>{_CELL}}" for cell in cells)
            )
    return lines


def _introduction(result: StudyResult, clean_mean: float) -> list[str]:
    settings = result.settings
    (clean,) = (row for row in result.accuracy if row.corruption == CLEAN)
    return [
        f"Clean: {clean.accuracy:.1%} of {clean.n:,} right; mean score {clean_mean:.3g}, of the"
        f" {len(result.reference):,} in the reference {result.reference.mean():.3g}.",
        f"{POOLED.capitalize()}: {', '.join(result.pool) or 'nothing, as no corruption has all severities'}.",
        f"From: the share of corrupted inputs in batches of {settings.window_size} from which on the mean"
        f" p-value is below {settings.p_val:g}.",
    ]


def _headings(result: StudyResult) -> list[str]:
    groups = ["mean score", *(f"{alternative}, from" for alternative in result.settings.alternatives)]
    over = "".join(f"{group:>{2 * _CELL}}" for group in groups)
    under = "".join(f"{kind:>{_CELL}}" for _ in groups for kind in KINDS)
    return [
        " " * (_NAME + _SEVERITY + _ACCURACY) + over,
        f"{'corruption':<{_NAME}}{'sev.':<{_SEVERITY}}{'accuracy':>{_ACCURACY}}{under}",
    ]


def _say(row: dict[str, Any] | None, largest: int) -> str:
    if row is None:
        return TOO_FEW
    if row["percentage"] is not None:
        return f"{row['percentage']} %"
    return NEVER if row["tested_to"] == largest else TOO_FEW
