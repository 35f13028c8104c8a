"""What one worker sustains, as the table in ``docs/performance.md``: one row, one ratio.

Run as ``python -m tests.benchmarks.targets [ROW ...]``. A real Kafka and a real Redis are started for it.
Rows are measured by turns, ``--rounds`` times, and medians are told with the lowest and the highest. What
other libraries sustain on the same topic is measured by ``python -m tests.benchmarks.rivals``.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.targets.rows import ROWS
from tests.benchmarks.targets.servers import Servers
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import TinyDetector

CIFAR10 = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cifar10", type=Path, default=CIFAR10, help="directory of the images and models")
    options = parser.parse_args()
    # So that servers are stopped as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if unknown := set(options.rows) - ROWS.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    found: dict[str, list[float]] = {name: [] for name in options.rows or ROWS}
    with tempfile.TemporaryDirectory() as name, KafkaBroker(heap="1g") as kafka, RedisServer() as redis:
        directory = Path(name)
        tiny = TinyDetector(directory / "bundle")
        servers = Servers(directory, kafka, redis, tiny, options.cifar10)
        for number in range(1, options.rounds + 1):
            for row, values in found.items():
                values.append(ROWS[row][0](servers, str(number)))
                print(f"round {number}: {row} {values[-1]:.3g}", flush=True)
    print("\n| row | what | target | measured | lowest to highest |\n| --- | --- | ---: | ---: | ---: |")
    for row, values in found.items():
        measure, bound, target = ROWS[row]
        what = (measure.__doc__ or "").splitlines()[0].rstrip(".")
        spread = f"{min(values):.3g} to {max(values):.3g}"
        print(f"| {row} | {what} | {bound} {target:g} | {statistics.median(values):.3g} | {spread} |")


if __name__ == "__main__":
    main()
