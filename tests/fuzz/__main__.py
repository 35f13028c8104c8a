"""Damaged inputs by the million for everything that reads what strangers wrote.

``python -m tests.fuzz --inputs 1000000`` gives every codec so many records, and the loaders of configs and
bundles a share of that, each in a process of its own. It prints what became of them, and exits with 1 if
anything crashed, hung, vanished, was rejected without a reason, or got another answer than it gets alone.
The recipe of the inputs is then written to a file, with which ``--recipe`` does it again. ``--guided`` lets
atheris choose the recipes by what they reach in the code (``pip install -e '.[fuzz]'``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import Outcome, campaign
from tests.fuzz.subjects import SLOWER, SUBJECTS


def main() -> int:
    """Run campaigns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs for each codec")
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="these subjects and no others")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recipe", type=Path, help="run the one recipe in this file, with --only")
    parser.add_argument("--guided", action="store_true", help="let atheris choose the recipes")
    arguments = parser.parse_args()
    names = arguments.only or list(SUBJECTS)
    if arguments.recipe:
        SUBJECTS[names[0]]().run(arguments.recipe.read_bytes())
        return 0
    failed = False
    print(_row("subject", "inputs", "accepted", "waiting", "rejected", "defects", "inputs/s"), flush=True)
    for name in names:
        inputs = max(1, arguments.inputs // SLOWER.get(name, 1))
        if arguments.guided:
            command = [sys.executable, "-m", "tests.fuzz.guided", name, str(inputs), str(arguments.seed)]
            failed |= subprocess.run(command, check=False).returncode != 0
            continue
        with tempfile.TemporaryDirectory() as directory:
            outcome = campaign(name, SUBJECTS[name], inputs, arguments.seed, Path(directory))
        print(table_rows(outcome), flush=True)
        if outcome.defects:
            failed = True
            path = Path(f"fuzz-{name}.recipe")
            path.write_bytes(outcome.recipe)
            print(f"{outcome.defects[0]}\nAgain: python -m tests.fuzz --only {name} --recipe {path}")
    return int(failed)


def table_rows(outcome: Outcome) -> str:
    """Return the lines of a subject: its figures, and why inputs were rejected."""
    tally = outcome.tally
    figures = (tally.inputs, tally.accepted, tally.waiting, tally.rejected.total(), len(outcome.defects))
    rate = tally.inputs / outcome.seconds
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.rejected.most_common())
    return f"{_row(outcome.subject, *(f'{n:,}' for n in figures), f'{rate:,.0f}')}\n    {reasons}"


def _row(name: str, *columns: str) -> str:
    return f"{name:<12}" + "".join(f"{column:>12}" for column in columns)


if __name__ == "__main__":
    sys.exit(main())
