"""The study's numbers as files: three tables in CSV, and everything in one JSON document."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from monitor.experiment.contamination import ContaminationRow, detected_from
from monitor.experiment.study import KINDS, AccuracyRow, ScoreRow, StudyResult

DOCUMENT = "study.json"
TABLES = {"accuracy.csv": AccuracyRow, "scores.csv": ScoreRow, "contamination.csv": ContaminationRow}
DIGITS = 6
"""Significant digits in the files: more than a hundred repetitions can tell, and readable."""


def write_numbers(result: StudyResult, facts: Mapping[str, Any], directory: Path) -> list[Path]:
    """Write ``accuracy.csv``, ``scores.csv``, ``contamination.csv`` and ``study.json``.

    Parameters
    ----------
    result
        What the study found.
    facts
        What else one needs to repeat it, such as the names of the files; written into the JSON document.
    directory
        Where to write; made if it is not there.

    Returns
    -------
    list of Path
        What was written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Sequence[Any]] = {
        "accuracy.csv": result.accuracy,
        "scores.csv": result.scores,
        "contamination.csv": result.contamination,
    }
    for name, table in rows.items():
        with (directory / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([column.name for column in fields(TABLES[name])])
            writer.writerows([[_rounded(value) for value in asdict(row).values()] for row in table])
    document = {
        "settings": asdict(result.settings),
        **facts,
        "pool": list(result.pool),
        "reference": {
            "size": len(result.reference),
            "mean": _rounded(float(result.reference.mean())),
        },
        "detected_from_percentage": detection_table(result),
        **{
            name.removesuffix(".csv"): [
                {key: _rounded(value) for key, value in asdict(row).items()} for row in table
            ]
            for name, table in rows.items()
        },
    }
    (directory / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return [directory / name for name in (*rows, DOCUMENT)]


def detection_table(result: StudyResult) -> list[dict[str, Any]]:
    """Say for each curve from which share on the mean p-value stays below ``p_val``; None if it does not.

    ``tested_to`` is the largest share for which there were enough corrupted instances.
    """
    table = []
    for group in result.groups:
        for severity in result.severities:
            for kind in KINDS:
                for alternative in result.settings.alternatives:
                    rows = select(result, group, severity, kind, alternative)
                    if rows:
                        table.append(
                            {
                                "corruption": group,
                                "severity": severity,
                                "kind": kind,
                                "alternative": alternative,
                                "available": rows[0].available,
                                "tested_to": rows[-1].percentage,
                                "percentage": detected_from(rows, result.settings.p_val),
                            }
                        )
    return table


def select(
    result: StudyResult, corruption: str, severity: int, kind: str, alternative: str
) -> list[ContaminationRow]:
    """Rows of one curve, by growing share."""
    wanted = (corruption, severity, kind, alternative)
    return [
        row
        for row in result.contamination
        if (row.corruption, row.severity, row.kind, row.alternative) == wanted
    ]


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
