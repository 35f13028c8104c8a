"""Many random recipes for one subject, in a process of its own: a crash or a hang is told with its recipe."""

from __future__ import annotations

import multiprocessing
import random
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.subjects import Subject, Tally

TELL_SECONDS = 1.0
START_SECONDS = 120.0
HANG_SECONDS = 60.0
"""Longest time without a finished recipe, each of which takes milliseconds; machines are busy at times."""


@dataclass
class Outcome:
    """What came of a campaign.

    Attributes
    ----------
    subject
        Its name.
    tally
        What became of the inputs.
    seconds
        How long it took.
    defects
        What went wrong; at most one, since a campaign ends with it.
    recipe
        Of the inputs with which it went wrong.
    """

    subject: str
    tally: Tally
    seconds: float
    defects: list[str] = field(default_factory=list)
    recipe: bytes = b""


def campaign(
    name: str,
    make: Callable[[], Subject],
    inputs: int,
    seed: int,
    directory: Path,
    *,
    patience: float = HANG_SECONDS,
) -> Outcome:
    """Give a subject so many inputs, or fewer if there is a defect.

    Parameters
    ----------
    name
        Name of the subject.
    make
        Makes it, in the other process.
    inputs
        How many inputs.
    seed
        Of the recipes.
    directory
        Where the recipe in use is kept meanwhile.
    patience
        Seconds without a word after which it hangs.
    """
    started = time.monotonic()
    tally = Tally()
    trace = directory / f"{name}-{seed}.recipe"
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(make, inputs, f"{name}-{seed}", trace, sending), daemon=True)
    process.start()
    sending.close()
    defects = []
    try:
        limit = START_SECONDS
        while True:
            if not receiving.poll(limit):
                defects.append(f"no answer within {limit:g} s")
                break
            limit = patience
            told = receiving.recv()
            if told is None:
                break
            if isinstance(told, str):
                defects.append(told)
                break
            tally.add(told)
    except EOFError:
        process.join()
        defects.append(f"the process ended with code {process.exitcode}")
    finally:
        if defects:
            process.kill()
        process.join()
    recipe = trace.read_bytes() if defects and trace.exists() else b""
    trace.unlink(missing_ok=True)
    return Outcome(name, tally, time.monotonic() - started, defects, recipe)


def _run(make: Callable[[], Subject], inputs: int, seed: str, trace: Path, telling: Connection) -> None:
    # What is worth a warning to numpy would be one in the log of a worker, about an event of anybody.
    warnings.simplefilter("error", RuntimeWarning)
    subject = make()
    telling.send(Tally())
    try:
        _give(subject, inputs, random.Random(seed), trace, telling.send)
        telling.send(None)
    except Exception:
        telling.send(traceback.format_exc())
    finally:
        subject.close()


def _give(
    subject: Subject, inputs: int, rng: random.Random, trace: Path, tell: Callable[[Tally], None]
) -> None:
    done, untold, next_telling = 0, Tally(), 0.0
    with trace.open("wb", buffering=0) as file:
        while done < inputs:
            recipe = rng.randbytes(subject.recipe_bytes)
            file.seek(0)
            file.write(recipe)
            found = subject.run(recipe)
            done += found.inputs
            untold.add(found)
            if time.monotonic() > next_telling or done >= inputs:
                tell(untold)
                untold, next_telling = Tally(), time.monotonic() + TELL_SECONDS
