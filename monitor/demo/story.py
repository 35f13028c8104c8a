"""What the demo is about, and what it tells: kept apart from the play, which loads TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from monitor.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Phase:
    """A stretch of traffic.

    Attributes
    ----------
    name
        What it is called.
    kind
        Field of ``Traffic`` that part of the events comes from; the rest are clean.
    share
        Size of that part.
    windows
        Length in windows.
    """

    name: str
    kind: str
    share: float
    windows: int


PHASES = (
    Phase("clean", "clean", 1.0, 8),
    Phase("harmless change", "harmless", 1.0, 6),
    Phase("harmful noise", "harmful", 0.5, 6),
    Phase("clean again", "clean", 1.0, 4),
)


@dataclass
class Scene:
    """What happened in a phase."""

    phase: Phase
    verdicts: list[Verdict] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    """Kinds of the alerts published, in order."""


@dataclass
class Story:
    """What happened in the whole demo."""

    accuracy: dict[str, float]
    """Share of images that the classifier gets right, by kind of change."""
    scenes: list[Scene]

    @property
    def as_promised(self) -> bool:
        """Whether the harmful phase raised an alert and the clean phase before it did not."""
        clean, _, harmful, _ = self.scenes
        return "detected" in harmful.alerts and not clean.alerts


class Audience:
    """What the demo tells while it plays; this one is silent."""

    def told(self, sentence: str) -> None:
        """Take note of what happens next."""

    def opened(self, config: Path) -> None:
        """Take note that the servers run, and of the config that says where."""

    def saw(self, phase: Phase, verdict: Verdict, alerts: list[str]) -> None:
        """Take note of a verdict and of the kinds of alerts that came with it."""

    def ended(self, story: Story) -> bool:
        """Take note of what happened; True asks for more of the same traffic, until interrupted."""
        return False
