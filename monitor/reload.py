"""A changed config, made ready beside the worker's loop or a Faust app, and taken up between two batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from detectors.errors import DetectorError
from monitor.bundle_shelf import BundleShelf
from monitor.checks.findings import require
from monitor.checks.setup import check_all
from monitor.config import Config, MonitorConfig
from monitor.config.file import load_config
from monitor.errors import ConfigError, MonitorError
from monitor.pipeline import Pipeline
from monitor.positions import DELIVERY_SECONDS, Patiently, Positions
from monitor.watch import Watch
from streams.errors import StreamError
from streams.kafka.producer import Sender

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reload:
    """A config that is ready to take the place of the one in force.

    Attributes
    ----------
    config
        The config.
    watches
        All its monitors, in its order; those that have not changed are the very same as before.
    added, changed, removed
        Names of monitors.
    """

    config: Config
    watches: Sequence[Watch]
    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]

    @property
    def fresh(self) -> list[Watch]:
        """Monitors that are not attached yet."""
        return [watch for watch in self.watches if watch.config.name in {*self.added, *self.changed}]

    def __str__(self) -> str:
        done = {"added": self.added, "changed": self.changed, "removed": self.removed}
        parts = [f"{what} {', '.join(names)}" for what, names in done.items() if names]
        kept = len(self.watches) - len(self.fresh)
        return f"{'; '.join(parts) or 'no monitor has changed'}; {kept} go on as they were"


class Reloader:
    """Looks after the config file of a running worker.

    Parameters
    ----------
    path
        The config file.
    config
        What was read from it.
    watches
        The monitors at work.
    bundles
        Where their bundles came from.
    open_watches
        Makes monitors.
    check
        Raises what is wrong with monitors together.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        watches: Sequence[Watch],
        bundles: BundleShelf,
        open_watches: Callable[[Sequence[MonitorConfig]], list[Watch]],
        check: Callable[[Sequence[Watch]], None],
    ) -> None:
        self._path = path
        self._running = config
        self._watches = {watch.config.name: watch for watch in watches}
        self._bundles = bundles
        self._open_watches = open_watches
        self._check = check
        self._every = config.worker.reload_every_seconds
        self._look_at = 0.0
        self._seen: bytes | None = None
        self._asked = False
        self._preparing: threading.Thread | None = None
        self._ready: Reload | None = None

    def ask(self) -> None:
        """Have the config read again; callable from any thread and from a signal handler."""
        self._asked = True

    def ready(self) -> Reload | None:
        """Return what is prepared, the same until it is taken up; begin to prepare when there is cause."""
        if self._preparing is not None and not self._preparing.is_alive():
            self._preparing = None
        if self._preparing is None and self._ready is None and (self._asked or self._has_changed()):
            self._asked = False
            self._preparing = threading.Thread(target=self._prepare, name="reload", daemon=True)
            self._preparing.start()
        return self._ready

    def take_up(self, pipeline: Pipeline, positions: Positions, sender: Sender, patiently: Patiently) -> bool:
        """Put a config in force that is ready: all read before is counted, what comes next is its own.

        Tells whether there was one. When it is abandoned it is begun anew the next time.
        """
        found = self.ready()
        if found is None:
            return False

        def settle_everything() -> None:
            # Leave no verdict to another worker: deliver alerts, then where that brings the segments.
            for _ in range(2):
                sender.flush(DELIVERY_SECONDS)
                pipeline.settle()

        patiently(settle_everything)
        for watch in found.fresh:
            patiently(watch.attach)
        pipeline.watch(found.watches)
        patiently(lambda: positions.admit(found.added))
        self._running = found.config
        self._watches = {watch.config.name: watch for watch in found.watches}
        self._ready = None
        log.info("Took up the config: %s.", found)
        return True

    def _has_changed(self) -> bool:
        if self._every is None or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + self._every
        # While a mounted file is being exchanged it may be missing; it is looked at again.
        content = self._path.read_bytes() if self._path.is_file() else self._seen
        changed = content != self._seen
        self._seen = content
        return changed

    def _prepare(self) -> None:
        try:
            self._ready = self._read()
        except (MonitorError, StreamError, DetectorError) as error:
            log.error("The config is not taken up, and the one before stays in force: %s", error)  # noqa: TRY400
        except Exception:
            log.exception("The config is not taken up, and the one before stays in force.")

    def _read(self) -> Reload:
        config = load_config(self._path)
        fixed = [
            section
            for section in Config.model_fields
            if section != "monitors" and getattr(config, section) != getattr(self._running, section)
        ]
        if fixed:
            log.warning("Changes of %s take a restart; the monitors are taken up.", " and ".join(fixed))
        # What is fixed stays as it runs.
        config = self._running.model_copy(update={"monitors": config.monitors})
        fresh = [monitor for monitor in config.monitors if not self._goes_on(monitor)]
        for monitor in fresh:
            self._keeps_its_state(monitor)
        if fresh:
            require(check_all(config.model_copy(update={"monitors": tuple(fresh)})))
        opened = {watch.config.name: watch for watch in self._open_watches(fresh)}
        known = {**self._watches, **opened}
        watches = [known[monitor.name] for monitor in config.monitors]
        self._check(watches)
        names = [monitor.name for monitor in config.monitors]
        return Reload(
            config,
            watches,
            added=[name for name in opened if name not in self._watches],
            changed=[name for name in opened if name in self._watches],
            removed=[name for name in self._watches if name not in names],
        )

    def _keeps_its_state(self, monitor: MonitorConfig) -> None:
        watch = self._watches.get(monitor.name)
        if watch is None:
            return
        if watch.config.input.topic != monitor.input.topic:
            raise ConfigError(
                f"Monitor {monitor.name!r} has counted topic {watch.config.input.topic!r}, and its offsets"
                f" mean nothing in {monitor.input.topic!r}; give the monitor of another topic another name."
            )

    def _goes_on(self, monitor: MonitorConfig) -> bool:
        watch = self._watches.get(monitor.name)
        return (
            watch is not None
            and watch.config == monitor
            and watch.bundle is self._bundles.get(monitor.detector, with_model=monitor.runs_model)
        )
