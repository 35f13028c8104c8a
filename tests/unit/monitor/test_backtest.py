"""``drift-monitor backtest`` over files: tables, the report, the comparison, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import yaml

from tests.cli_setup import complaints, run
from tests.traffic import TinyDetector

HOUR_S = 3600


class Bench:
    """A config, and files of events: calm, harmful and calm again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tiny = TinyDetector(directory / "tiny")
        parts = [self.tiny.calm(400, 1), self.tiny.harmful(200, 2), self.tiny.calm(400, 3)]
        self.lines = directory / "events.jsonl"
        values = [value for part in parts for value in part.values]
        with self.lines.open("wb") as file:
            for row, value in enumerate(values):
                time = f"2026-11-01T{row // 60:02}:{row % 60:02}:00Z"
                file.write(
                    json.dumps({**json.loads(value), "id": f"e{row}", "time": time}).encode() + b"\n\n"
                )
        self.arrays = directory / "events.npz"
        instances, predictions = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("instances", "predictions")
        )
        np.savez(self.arrays, X=instances, predictions=predictions)
        np.savez(directory / "bare.npz", X=instances)

    def config(self, name: str = "monitor", **changes: Any) -> Path:
        monitor = {
            "name": "churn",
            "input": {"topic": "events"},
            "detector": str(self.tiny.path),
            "window": {"size": 50},
            "test": {"p_val": 0.001},
            "alerts": {"topic": "alerts", "raise_after": 2, "resolve_after": 2},
            "dead_letters": {"topic": "rejected"},
            **changes,
        }
        path = self.directory / f"{name}.yaml"
        nowhere = {"kafka": {"bootstrap.servers": "127.0.0.1:9"}, "redis": {"url": "redis://127.0.0.1:9/0"}}
        path.write_text(yaml.safe_dump({**nowhere, "monitors": [monitor]}))
        return path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("backtest"))


def table(bench: Bench, *arguments: object, name: str = "verdicts.json") -> list[dict[str, Any]]:
    path = bench.directory / name
    result = run("backtest", *arguments, "-o", path)
    assert result.exit_code == 0, result.stderr
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return (
        pyarrow.parquet.read_table(path).to_pylist() if ".parquet" in name else json.loads(path.read_text())
    )


def test_drift_is_found_where_it_is_and_told(bench: Bench) -> None:
    result = run("backtest", bench.lines, "-c", bench.config())
    assert result.exit_code == 0, result.stderr
    # The second harmful window, of events 450 to 499, ends at minute 499 of the day.
    assert re.search(r"churn +all +20 +4 +1 +2026-11-01 08:19:00", result.stdout)
    assert "1,000 events, 0 rejected" in result.stderr


def test_every_format_of_the_table_holds_the_same(bench: Bench) -> None:
    config = bench.config()
    rows = table(bench, bench.lines, "-c", config)
    assert [row["sequence"] for row in rows] == list(range(1, 21))
    assert [row["sequence"] for row in rows if row["drift"]] == [9, 10, 11, 12]
    assert {row["sequence"]: row["alert"] for row in rows if row["alert"]} == {10: "detected", 14: "resolved"}
    assert [row["state"] for row in rows][8:14] == ["pending", "drift", "drift", "drift", "drift", "normal"]
    assert rows[0]["offsets"] == [[0, 0, 49]]
    assert rows[0]["examples"][0][0] == f"e{rows[0]['examples'][0][2]}"

    in_parquet = table(bench, bench.lines, "-c", config, name="verdicts.parquet")
    in_csv = table(bench, bench.lines, "-c", config, name="verdicts.csv")
    for row, packed, text in zip(rows, in_parquet, in_csv, strict=True):
        assert {**packed, **{k: json.loads(packed[k]) for k in ("offsets", "examples")}} == row
        assert float(text["p_value"]) == row["p_value"]
        assert (text["drift"], text["alert"]) == (str(row["drift"]), row["alert"] or "")


def test_arrays_get_the_verdicts_of_their_events(bench: Bench) -> None:
    config = bench.config()
    measured = ("sequence", "statistic", "p_value", "mean", "max", "drift", "offsets")

    def measured_by(*arguments: object) -> list[list[Any]]:
        return [[row[name] for name in measured] for row in table(bench, *arguments)]

    of_lines = measured_by(bench.lines, "-c", config)
    for form in ("json", "tensor"):
        of_form = bench.config(form, input={"topic": "events", "format": form})
        assert measured_by(bench.arrays, "-c", of_form) == of_lines
    slow = table(bench, bench.arrays, "-c", config, "--rate", 0.5, "--limit", 120)
    assert [row["end_time"] for row in slow] == ["2000-01-01T00:01:38.000Z", "2000-01-01T00:03:18.000Z"]


def test_times_of_the_alert_policy_are_those_of_the_events(bench: Bench) -> None:
    alerts = {"topic": "alerts", "remind_after_seconds": 1.5 * HOUR_S}
    rows = table(bench, bench.lines, "-c", bench.config(alerts=alerts))
    # Windows are 50 minutes apart; the reminder comes with the second one after the alert.
    kinds = {row["sequence"]: row["alert"] for row in rows if row["alert"]}
    assert kinds == {9: "detected", 11: "ongoing", 13: "resolved"}


def test_report_holds_everything_and_asks_nobody(bench: Bench) -> None:
    sliding = bench.config("sliding", window={"size": 100, "hop": 20}, test={"expected_run_time": 100})
    path = bench.directory / "report.html"
    result = run("backtest", bench.lines, "-c", bench.config(), "--compare", sliding, "--report", path)
    assert result.exit_code == 0, result.stderr
    page = path.read_text()
    rows = table(bench, bench.lines, "-c", bench.config())
    version = rows[0]["reference"]
    for part in ("Side by side", "expected_run_time 100", "100, hop 20", version, "raise_after: 2"):
        assert part in page, part
    # One timeline and one pair of distributions for each config, and one comparison.
    assert page.count("<svg") == 5
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page.replace('xlink:href="#', 'href="#'))
    assert "default-src 'none'" in page
    assert "redis://" not in page
    worst = min(rows, key=lambda row: (row["p_value"], -row["statistic"]))
    assert all(f"<td>{example[0]}</td>" in page for example in worst["examples"])


def test_rejected_events_are_told_and_stop_nothing(bench: Bench) -> None:
    lines = bench.lines.read_text().split("\n\n")
    lines[3] = '{"instance": [1]}'
    lines[4] = "no event"
    file = bench.directory / "bad.jsonl"
    file.write_text("\n".join(lines[:120]))
    path = bench.directory / "bad.html"
    result = run("backtest", file, "-c", bench.config(), "--report", path)
    assert result.exit_code == 0
    assert "120 events, 2 rejected" in result.stderr
    named = re.findall(r"<td>0</td><td>(\d+)</td><td>(\w+)</td>", path.read_text())
    assert {("3", "wrong_shape"), ("4", "undecodable")} <= set(named)


def test_too_few_events_for_a_window(bench: Bench) -> None:
    path = bench.directory / "few.html"
    result = run("backtest", bench.lines, "-c", bench.config(), "--limit", 10, "--report", path)
    assert result.exit_code == 0
    page = path.read_text()
    assert "No window was full" in page
    assert "Side by side" not in page
    assert table(bench, bench.lines, "-c", bench.config(), "--limit", 10, name="few.csv") == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{lines}", "--from", "12"], "--from and --to are places in a topic; leave them out, or the file."),
        (
            ["{lines}", "-o", "verdicts.xls"],
            "--output: verdicts.xls must end in '.csv', '.parquet' or '.json',",
        ),
        (["{lines}", "-m", "chrun"], "The config has no monitor 'chrun'; did you mean 'churn'?"),
        (["{lines}", "--data-key", "X"], "The lines of a .jsonl file are events; leave out the options"),
        (["{bare}"], "bare.npz holds no predictions, which monitor 'churn' expects"),
        (
            ["{lines}", "--report", "gone/x.html"],
            "--report: gone/x.html cannot be written; there is no",
        ),
        (["nowhere.jsonl"], "There is no file nowhere.jsonl."),
        (["--from", "yesterday"], "--from: 'yesterday' is neither an offset nor a time such as 2026-"),
    ],
)
def test_what_cannot_be_is_said(bench: Bench, arguments: list[str], complaint: str) -> None:
    places = {"lines": bench.lines, "bare": bench.directory / "bare.npz"}
    result = run("backtest", *(one.format(**places) for one in arguments), "-c", bench.config())
    assert result.exit_code == 2
    (said,) = complaints(result)
    assert complaint in said
