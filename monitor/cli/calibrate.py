"""``drift-monitor calibrate``: whether a monitor keeps its promise, and how soon it sees drift."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.options import (
    ExampleCommand,
    check_output_file,
    choose_monitor,
    config_option,
    monitor_option,
    read_config,
)
from monitor.cli.progress import counting_progress
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.calibration.calibrate import Delay, FalseAlarms
    from monitor.calibration.intervals import Interval
    from monitor.config import MonitorConfig

FEWEST_WINDOWS, MOST_WINDOWS = 10_000, 200_000
"""Bounds on the number of windows when none is given."""
FALSE_ALARMS = 100
"""False alarms on the clean stream if the promise is kept; their rate is then known to 20 %."""


@click.command(
    "calibrate",
    cls=ExampleCommand,
    examples=[
        "drift-monitor calibrate -c monitor.yaml clean_scores.npy",
        "drift-monitor calibrate -c monitor.yaml clean.npz --drifted noisy.npz --plot calibration.png",
    ],
)
@click.argument("clean")
@config_option
@monitor_option
@click.option("--drifted", metavar="SOURCE", help="Drifted data, to measure how soon it is seen.")
@click.option(
    "--reference", metavar="SOURCE", help="Scores to test against; the bundle's reference by default."
)
@click.option(
    "--windows",
    type=click.IntRange(min=100),
    help="Clean windows to test; by default enough for about 100 false alarms, 10,000 to 200,000.",
)
@click.option(
    "--episodes",
    type=click.IntRange(min=2),
    default=100,
    show_default=True,
    help="Drifts for each share of drifted events.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what is drawn.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw p-values and delays to this file, such as calibration.png.",
)
def calibrate(
    clean: str,
    config_path: Path,
    monitor_name: str | None,
    drifted: str | None,
    reference: str | None,
    windows: int | None,
    episodes: int,
    seed: int,
    as_json: bool,
    plot_path: Path | None,
) -> None:
    """Measure false alarms on clean data, and the delay until drift is seen.

    CLEAN is a sample that the reference has not seen: scores in a .npy file, or a .npz file with instances
    and predictions, which the monitor's detector scores. Events drawn from it, again and again, go through
    the monitor's windows, test, threshold and alert policy. Kafka and Redis are not needed.
    """
    if plot_path is not None and find_spec("matplotlib") is None:
        raise SetupError("--plot needs matplotlib; install the extra: pip install 'drift-monitor[plots]'.")
    if plot_path is not None:
        check_output_file(plot_path, "--plot")
    monitor = choose_monitor(read_config(config_path), monitor_name)

    import numpy as np

    load_tensorflow()
    from detectors import ModelDistillation, load_bundle
    from monitor.calibration.calibrate import SHARES, Calibration
    from monitor.calibration.samples import read_scores
    from monitor.samples.arrays import read_array
    from monitor.verdicts.promises import threshold_rule

    bundle = load_bundle(monitor.detector)
    if not isinstance(bundle.detector, ModelDistillation):
        raise SetupError(f"{monitor.detector} holds no ModelDistillation, so there are no scores.")
    against = bundle.reference if reference is None else read_array(reference, None, "--reference")
    if against is None:
        raise SetupError(f"{monitor.detector} holds no reference; build one, or give --reference.")
    clean_scores = read_scores(clean, "CLEAN", bundle.detector)
    drifted_scores = None if drifted is None else read_scores(drifted, "--drifted", bundle.detector)

    calibration = Calibration(monitor, against, clean_scores, seed)
    count = windows or _enough_windows(monitor)
    with counting_progress("Clean windows", count) as advance:
        measured = calibration.false_alarms(count, advance)
    delays: list[Delay] = []
    if drifted_scores is not None:
        with counting_progress("Shares of drifted events", len(SHARES)) as advance:
            for share in SHARES:
                delays.append(calibration.delay(drifted_scores, share, episodes))
                advance(len(delays))
    notes = _notes(monitor, np.asarray(against), clean_scores)
    if as_json:
        click.echo(json.dumps(_as_json(monitor, measured, delays, notes)))
    else:
        _show(monitor, measured, delays, episodes, notes)
    if plot_path is not None:
        from monitor.calibration.plot import plot_calibration

        threshold = threshold_rule(monitor, len(against))(monitor.window.size).p_value
        plot_calibration(plot_path, monitor.name, measured, delays, threshold or None)


def _enough_windows(monitor: MonitorConfig) -> int:
    run_time = _promised_run_time(monitor) or 0.0
    return int(min(max(FALSE_ALARMS * run_time, FEWEST_WINDOWS), MOST_WINDOWS))


def _promised_run_time(monitor: MonitorConfig) -> float | None:
    test = monitor.test
    if test.expected_run_time is not None:
        return test.expected_run_time
    # Windows that overlap alarm together, so their p-value says nothing about the time between alarms.
    return None if test.p_val is None or monitor.window.overlaps else 1.0 / test.p_val


def _notes(monitor: MonitorConfig, reference: Any, clean: Any) -> list[str]:
    import numpy as np

    from monitor.calibration.calibrate import spread_over_references

    notes = [
        f"Events were drawn from {len(clean):,} scores with replacement, so they repeat themselves. These"
        " scores are one sample and the reference is another: their luck is part of the figures, not of the"
        " intervals."
    ]
    if luck := spread_over_references(monitor, len(reference)):
        notes.append(luck)
    shared = np.isin(clean, reference).mean()
    if len(np.unique(clean)) > len(clean) / 2 and shared > 0.5:
        notes.append(
            f"{shared:.0%} of the clean scores are in the reference; it takes a sample that the reference has"
            " not seen to measure anything."
        )
    elif len(clean) < len(reference):
        notes.append("The clean sample is smaller than the reference; a larger one would be surer.")
    if monitor.window.max_age_seconds is not None:
        notes.append("Windows that close for their age are left out; all of these were full.")
    if monitor.alerts.cooldown_seconds is not None:
        notes.append("The cool-down is left out, since samples have no clock.")
    if monitor.test.fdr is not None:
        notes.append("The false discovery procedure had this monitor alone; every discovery here is false.")
    return notes


def _as_json(
    monitor: MonitorConfig, measured: FalseAlarms, delays: list[Delay], notes: list[str]
) -> dict[str, Any]:
    test = monitor.test
    promise = {
        key: value
        for key in ("p_val", "expected_run_time", "confidence", "fdr")
        if (value := getattr(test, key)) is not None
    }
    return {
        "monitor": monitor.name,
        "promise": promise,
        "windows": measured.windows,
        "events": measured.events,
        "drifted_share": _json_interval(measured.drifted),
        "windows_per_false_alarm": _json_interval(measured.run_time),
        "windows_per_alert": _json_interval(measured.windows_per_alert),
        "events_per_alert": _json_interval(measured.events_per_alert),
        "delays": [
            {
                "drifted_share": delay.share,
                "detected": _json_interval(delay.detected),
                "windows": _json_interval(delay.windows),
                "events": _json_interval(delay.events),
                "slowest_events": delay.slowest_events,
            }
            for delay in delays
        ],
        "notes": notes,
    }


def _json_interval(interval: Interval | None) -> list[float | None] | None:
    # JSON has no infinity.
    return None if interval is None else [number if math.isfinite(number) else None for number in interval]


def _show(
    monitor: MonitorConfig, measured: FalseAlarms, delays: list[Delay], episodes: int, notes: list[str]
) -> None:
    from rich.console import Console

    from monitor.cli.calibration_tables import clean_table, delay_table

    console = Console(soft_wrap=True)
    console.print(clean_table(monitor, measured, _promised_run_time(monitor)))
    if delays:
        console.print()
        console.print(delay_table(delays, episodes))
    console.print()
    for note in notes:
        console.print(note)
