"""Handing alerts on, one receiver at a time: in order, until each is taken, and committed only then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitor.alerts.received import ReceivedAlert
from monitor.alerts.subscription import AlertSubscription, KnownAlerts
from monitor.config.forwarding import TargetConfig
from monitor.forwarding.posting import NotDeliveredError, RefusedError, post
from monitor.forwarding.requests import Content, alertmanager_content, webhook_content

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0
"""Bounds of the exponential back-off."""


class Forwarder:
    """Hands the alerts of some topics on to one receiver.

    Parameters
    ----------
    target
        The receiver.
    properties
        librdkafka properties of consumers.
    topics
        Alert topics.
    group
        Consumer group of this receiver.
    wanted
        Names of the monitors whose alerts are handed on.
    stopping
        Set when it is to end.
    """

    def __init__(
        self,
        target: TargetConfig,
        properties: Mapping[str, Any],
        topics: Sequence[str],
        group: str,
        wanted: frozenset[str],
        stopping: threading.Event,
    ) -> None:
        self._target = target
        self._properties = properties
        self._topics = topics
        self._group = group
        self._wanted = wanted
        self._stopping = stopping
        self._known = KnownAlerts()

    def run(self) -> None:
        """Work until told to stop.

        Raises
        ------
        KafkaError
            If the broker refuses.
        """
        with AlertSubscription(
            self._properties, self._topics, group=self._group, from_beginning=True
        ) as subscription:
            while not self._stopping.is_set():
                for alert in subscription.poll(POLL_SECONDS, most=1):
                    if alert.monitor in self._wanted and alert.id not in self._known:
                        if not self._deliver(alert, subscription.stay):
                            return
                        self._known.add(alert.id)
                subscription.commit()

    def _deliver(self, alert: ReceivedAlert, stay: Callable[[float], None]) -> bool:
        """Hand an alert over, however long it takes; tells whether it is done with."""
        what = f"Alert {alert.id} ({alert.kind.value}, {alert.monitor}/{alert.segment})"
        content = self._content(alert)
        delay = FIRST_RETRY_SECONDS
        while not self._stopping.is_set():
            try:
                post(self._target, content)
            except RefusedError as error:
                log.error("%s is dropped: %s", what, error)  # noqa: TRY400 - the sentence tells all
                return True
            except NotDeliveredError as error:
                wait = delay if error.retry_after_seconds is None else error.retry_after_seconds
                wait = min(wait, LONGEST_RETRY_SECONDS)
                log.warning("%s is not delivered: %s Trying again in %.1f s.", what, error, wait)
                self._wait(wait, stay)
                delay = min(2 * delay, LONGEST_RETRY_SECONDS)
            else:
                log.info("%s is delivered to %s.", what, self._target.name)
                return True
        return False

    def _wait(self, seconds: float, stay: Callable[[float], None]) -> None:
        while seconds > 0 and not self._stopping.is_set():
            stay(min(POLL_SECONDS, seconds))
            seconds -= POLL_SECONDS

    def _content(self, alert: ReceivedAlert) -> Content:
        if self._target.type == "alertmanager":
            return alertmanager_content(alert, self._target.labels)
        return webhook_content(alert)


def forward_all(forwarders: Sequence[Forwarder], stopping: threading.Event) -> None:
    """Run forwarders side by side until told to stop; when one fails, all end and its error is raised."""
    errors: list[BaseException] = []

    def run(forwarder: Forwarder) -> None:
        try:
            forwarder.run()
        except BaseException as error:
            errors.append(error)
            stopping.set()

    threads = [threading.Thread(target=run, args=(forwarder,), daemon=True) for forwarder in forwarders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
