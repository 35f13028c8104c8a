"""When an alert is raised, what it says, and how it is read.

Subscribers need only ``subscribe``, which yields a ``ReceivedAlert`` for each alert of a topic.
"""

from monitor.alerts.policy import AlertKind, DriftState
from monitor.alerts.received import ReceivedAlert
from monitor.alerts.subscription import subscribe

__all__ = ["AlertKind", "DriftState", "ReceivedAlert", "subscribe"]
