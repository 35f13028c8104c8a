"""``drift-monitor demo``: see the monitor at work, with nothing to install or configure."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from monitor.cli.dashboard import dashboard_server, require_web_framework
from monitor.cli.options import ExampleCommand, read_config
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.demo.story import Audience, Phase, Scene, Story
from monitor.verdicts.verdict import Verdict

BAR_WIDTH = 24


class _Screen(Audience):
    """Shows each verdict as a line.

    Parameters
    ----------
    console
        Where to.
    pages
        Closes the dashboard when it is over; None when there is to be no dashboard.
    """

    def __init__(self, console: Console, pages: ExitStack | None) -> None:
        self._console = console
        self._pages = pages
        self._phase: Phase | None = None
        self.story: Story | None = None
        """What happened, once it has."""

    def told(self, sentence: str) -> None:
        self._console.print(sentence)

    def opened(self, config: Path) -> None:
        if self._pages is not None:
            dashboard = dashboard_server(read_config(config), "127.0.0.1", 0)
            self._console.print(f"Live on the dashboard: [bold]{self._pages.enter_context(dashboard).url}[/]")

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

    def ended(self, story: Story) -> bool:
        self.story = story
        for sentence in _moral(story):
            self._console.print(sentence)
        if self._pages is None:
            self._console.print(
                "\nTo see it drawn, live: [bold]drift-monitor demo --dashboard[/]"
                " (in a checkout: make demo ARGS=--dashboard)"
            )
            return False
        self._console.print("\nThe traffic goes on and the dashboard stays open until Ctrl-C.")
        return True


@click.command(
    "demo",
    cls=ExampleCommand,
    examples=["drift-monitor demo", "drift-monitor demo --dashboard", "drift-monitor demo --json"],
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON with the outcome, last.")
@click.option("--dashboard", is_flag=True, help="Show it on a live web page, and go on until Ctrl-C.")
@click.option("--seed", default=1, show_default=True, help="Seed of the data, the models and the traffic.")
def demo(as_json: bool, dashboard: bool, seed: int) -> None:
    """See the main job at work: an embedded broker and Redis, handwritten digits, the real worker.

    Trains a classifier and its distilled copy, then streams clean events, harmlessly changed ones, harmful
    ones and clean ones again, and shows each window's verdict and each alert. Exit code 0 means that the
    harmful events raised an alert and the clean ones before them did not.
    """
    started = time.monotonic()
    # So that a SIGTERM, too, stops the servers and the worker that the demo starts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if dashboard:
        require_web_framework()
    load_tensorflow()
    from monitor.demo.play import play

    with ExitStack() as pages:
        screen = _Screen(Console(stderr=as_json, highlight=False), pages if dashboard else None)
        try:
            story = play(screen, seed)
        except KeyboardInterrupt:
            if screen.story is None:
                raise
            story = screen.story
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
