"""``drift-monitor demo``: see the monitor at work, with nothing to install or configure."""

from __future__ import annotations

import json
import sys
import time

import click
from rich.console import Console

from monitor.cli.options import ExampleCommand
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.demo.story import Audience, Phase, Scene, Story
from monitor.verdicts import Verdict

BAR_WIDTH = 24


class _Screen(Audience):
    """Shows each verdict as a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase: Phase | None = None

    def told(self, sentence: str) -> None:
        self._console.print(sentence)

    def saw(self, phase: Phase, verdict: Verdict, alerts: list[str]) -> None:
        if phase is not self._phase:
            self._phase = phase
            self._console.rule(f"[bold]{phase.name}", align="left")
        colour = "red" if verdict.drift else "green"
        bar = "█" * max(1, round(verdict.statistic * BAR_WIDTH))
        self._console.print(
            f"window {verdict.sequence:>2}  mean score {verdict.mean:6.3f}  p {verdict.p_value:8.2g}"
            f"  [{colour}]{'drift' if verdict.drift else 'clean'}  {bar}[/]"
        )
        for kind in alerts:
            self._console.print(f"           [bold reverse] ALERT [/] [bold]drift {kind}[/]")


@click.command(
    "demo", cls=ExampleCommand, examples=["drift-monitor demo", "drift-monitor demo --json --seed 7"]
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON with the outcome, last.")
@click.option("--seed", default=1, show_default=True, help="Seed of the data, the models and the traffic.")
def demo(as_json: bool, seed: int) -> None:
    """See the main job at work: an embedded broker and Redis, handwritten digits, the real worker.

    Trains a classifier and its distilled copy, then streams clean events, harmlessly changed ones, harmful
    ones and clean ones again, and shows each window's verdict and each alert. Exit code 0 means that the
    harmful events raised an alert and the clean ones before them did not.
    """
    started = time.monotonic()
    load_tensorflow()
    from monitor.demo.play import play

    console = Console(stderr=as_json, highlight=False)
    story = play(_Screen(console), seed)
    for sentence in _moral(story):
        console.print(sentence)
    if as_json:
        click.echo(json.dumps(_summary(story, time.monotonic() - started)))
    sys.exit(0 if story.as_promised else 1)


def _moral(story: Story) -> list[str]:
    clean, harmless, harmful, after = story.scenes
    accuracy = story.accuracy
    return [
        "",
        f"[bold]{'As promised.' if story.as_promised else 'Not as promised!'}[/]"
        f" Clean digits: {_seen(clean)}.",
        f"Brighter digits look different, but the classifier still gets {accuracy['brighter']:.0%} of them"
        f" right ({accuracy['clean']:.0%} when clean): {_seen(harmless)}.",
        f"Noise brings it down to {accuracy['noisy']:.0%}; with half of a window's inputs misread because of"
        f" it: {_seen(harmful)}.",
        f"Clean digits again: {_seen(after)}.",
    ]


def _seen(scene: Scene) -> str:
    drifted = sum(verdict.drift for verdict in scene.verdicts)
    alerts = " and ".join(f"an alert 'drift {kind}'" for kind in scene.alerts) or "no alert"
    return f"{drifted} of {len(scene.verdicts)} windows drifted, {alerts}"


def _summary(story: Story, seconds: float) -> dict[str, object]:
    return {
        "as_promised": story.as_promised,
        "seconds": round(seconds, 1),
        "accuracy": {kind: round(share, 4) for kind, share in story.accuracy.items()},
        "phases": [
            {
                "name": scene.phase.name,
                "windows": len(scene.verdicts),
                "drifted": sum(verdict.drift for verdict in scene.verdicts),
                "alerts": scene.alerts,
            }
            for scene in story.scenes
        ],
    }
