"""Recipes chosen by what they reach in the code: atheris in a process of its own, which it never leaves.

``python -m tests.fuzz.guided json 100000 1``: subject, inputs, seed. Needs ``pip install -e '.[fuzz]'``.
"""

from __future__ import annotations

import os
import sys
import time

import atheris

SHORT_RECIPE = 64
"""Bytes: few inputs at a time, so that what a change of the recipe reaches is told from the rest."""


def main() -> None:
    """Let atheris vary recipes until enough inputs were made; ends the process."""
    name, inputs, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with atheris.instrument_imports(include=["streams", "monitor", "detectors"]):
        from tests.fuzz.__main__ import table_rows
        from tests.fuzz.campaign import Outcome
        from tests.fuzz.subjects import SUBJECTS, Tally

        subject = SUBJECTS[name]()
    tally, started = Tally(), time.monotonic()

    def run(recipe: bytes) -> None:
        tally.add(subject.run(recipe))
        if tally.inputs >= inputs:
            print(table_rows(Outcome(name, tally, time.monotonic() - started)), flush=True)
            subject.close()
            # Python's own end would take libFuzzer's report of it for a crash.
            os._exit(0)

    options = [f"-seed={seed}", f"-max_len={SHORT_RECIPE}", f"-artifact_prefix=fuzz-{name}-", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
