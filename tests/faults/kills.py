"""Workers are killed again and again, and what they made of a stream is compared with an undisturbed run.

``python -m tests.faults.kills --runs 300`` prints how many runs, kills and events there were and how many
events were lost or doubled; it exits with 1 if any was, or if anything else is not as in the undisturbed run.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.points import POINTS, Ending
from tests.faults.processes import Treatment
from tests.faults.story import Outcome, Place, Run, Story, Tails, tails
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import TinyDetector
from tests.workers import wait_until

EVENTS = 3000
RANDOM_SECONDS = 1.2
"""A worker that is killed at a random moment lives no longer; it takes half of this to begin."""
REACH_SECONDS = 60.0


@dataclass
class Figures:
    """What is printed in the end."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    events: int = 0
    lost: int = 0
    doubled: int = 0
    alerts: int = 0
    repeated_alerts: int = 0
    dead_letters: int = 0
    repeated_dead_letters: int = 0
    verdicts: int = 0
    faults: list[str] = field(default_factory=list)
    never_reached: list[str] = field(default_factory=list)

    def add(self, run: Run, undisturbed: Outcome, outcome: Outcome) -> None:
        """Add what came of one run."""
        self.runs += 1
        self.events += run.story.accepted
        self.lost += outcome.lost
        self.doubled += outcome.doubled
        self.alerts += len({identity for identity, _ in outcome.alerts})
        self.repeated_alerts += outcome.repeated_alerts
        self.dead_letters += len(set(outcome.dead_letters))
        self.repeated_dead_letters += outcome.repeated_dead_letters
        self.verdicts += sum(map(len, outcome.verdicts.values()))
        faults = outcome.faults(run.story, undisturbed)
        if faults:
            self.faults.append(f"{'; '.join(faults)}\n{run.logs()}")

    def report(self) -> str:
        """Return the figures as lines."""
        at_random = self.kills["a random moment"]
        return "\n".join(
            [
                f"runs                          {self.runs:>9,}",
                f"kills (SIGKILL)               {self.kills.total():>9,}",
                f"  at one of {len(POINTS)} named points   {self.kills.total() - at_random:>9,}",
                f"  at a random moment          {at_random:>9,}",
                f"fewest kills at a point       {min(self.kills[point] for point in POINTS):>9,}",
                f"events accepted               {self.events:>9,}",
                f"  lost                        {self.lost:>9,}",
                f"  doubled                     {self.doubled:>9,}",
                f"verdicts                      {self.verdicts:>9,}",
                f"alerts                        {self.alerts:>9,}",
                f"  repeated, with the same id  {self.repeated_alerts:>9,}",
                f"events rejected               {self.dead_letters:>9,}",
                f"  dead letters repeated       {self.repeated_dead_letters:>9,}",
                f"runs that differ              {len(self.faults):>9,}",
                f"points never reached          {len(self.never_reached):>9,}",
            ]
        )


def undisturbed(place: Place, story: Story, directory: Path, tail: Tails) -> tuple[Outcome, dict[str, int]]:
    """Count the story with one worker that nothing happens to; returns how often it passed each point too."""
    with Run(place, story, directory, tail) as run:
        worker = run.worker()
        run.drain(worker)
        worker.stop()
        return run.outcome(), worker.passages()


def kill_at(run: Run, point: str, passage: int = 1) -> bool:
    """Run a worker until it is killed at a point; False when it has counted all without coming by."""
    worker = run.worker(Treatment(Ending(point, passage)))
    needs = POINTS[point]
    if needs != "nothing":
        before = run.counted()

        def works() -> bool:
            # Where nothing is left to count, it has to have come so far that it can be told something.
            return run.counted() > before or (run.drained() and "Reading " in worker.log)

        run.wait_for(worker, "to make progress", works)
    if needs == "stop":
        worker.terminate()
    elif needs == "flush":
        run.flush()
    other = run.worker(static=False) if needs == "join" else None
    wait_until(
        f"to come by {point!r}",
        lambda: not worker.running or (needs == "nothing" and run.drained()),
        REACH_SECONDS,
        poll_seconds=0.005,
    )
    reached = worker.killed
    worker.kill()
    if other is not None:
        # What it owned by then waits for the end of its session.
        other.kill()
    return reached


def kill_at_random(run: Run, rng: random.Random) -> None:
    """Run a worker and kill it at whatever moment."""
    worker = run.worker()
    time.sleep(rng.uniform(0.2, RANDOM_SECONDS))
    worker.kill()


def killed_run(
    run: Run, points: Sequence[tuple[str, int]], figures: Figures, rng: random.Random | None = None
) -> Outcome:
    """Kill workers at points, one after the other, and one more at random; let another count what is left.

    Parameters
    ----------
    run
        The run.
    points
        Points and passages.
    figures
        Told of every kill.
    rng
        When given, there is a kill at a random moment too.
    """
    for point, passage in points:
        reached = kill_at(run, point, passage) or (passage > 1 and kill_at(run, point))
        if reached:
            figures.kills[point] += 1
        else:
            figures.never_reached.append(point)
    if rng is not None:
        kill_at_random(run, rng)
        figures.kills["a random moment"] += 1
    last = run.worker()
    run.drain(last)
    last.kill()
    return run.outcome()


def many(place: Place, tiny: TinyDetector, directory: Path, runs: int, seed: int) -> Figures:
    """Make runs, each with a kill at a named point and half of them with another at a random moment."""
    rng = random.Random(seed)
    story, figures = Story(), Figures()
    story.tell(place, tiny, EVENTS, seed)
    with tails(place) as tail:
        expected, passages = undisturbed(place, story, directory, tail)
        order: list[str] = []
        while figures.runs < runs:
            order = order or rng.sample(sorted(POINTS), len(POINTS))
            point = order.pop()
            passage = rng.randint(1, max(1, passages.get(point, 0) // 2))
            with Run(place, story, directory, tail) as run:
                outcome = killed_run(run, [(point, passage)], figures, rng if rng.random() < 0.5 else None)
                figures.add(run, expected, outcome)
            print(f"run {figures.runs}: {point}, passage {passage}", file=sys.stderr, flush=True)
            if figures.runs % 25 == 0:
                print(figures.report(), file=sys.stderr, flush=True)
    return figures


def main() -> int:
    """Start servers, make the runs, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    # So that the servers are stopped however the command is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as directory, KafkaBroker() as kafka, RedisServer() as server:
        tiny = TinyDetector(Path(directory) / "tiny")
        place = Place.prepare(kafka.bootstrap, server.url, tiny.path)
        figures = many(place, tiny, Path(directory), arguments.runs, arguments.seed)
    print(figures.report())
    print(f"{'seconds':<30}{time.monotonic() - started:>9,.0f}")
    for fault in [*figures.faults, *(f"never reached: {point}" for point in figures.never_reached)]:
        print(fault, file=sys.stderr)
    return 1 if figures.faults or figures.never_reached else 0


if __name__ == "__main__":
    sys.exit(main())
