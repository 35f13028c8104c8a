"""One attempt to hand an alert over, and what its outcome asks for."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.config.forwarding import TargetConfig
from monitor.forwarding.posting import NotDeliveredError, RefusedError, post
from monitor.forwarding.requests import Content
from tests.servers.http_receiver import DROP, HttpReceiver
from tests.servers.ports import free_ports

CONTENT = Content("", "application/json", b"{}")
SECRET = "hunter2-in-the-url"


def target(url: str, **changes: Any) -> TargetConfig:
    return TargetConfig.model_validate(
        {"name": "chat", "type": "webhook", "url": f"{url}/{SECRET}", **changes}
    )


def test_it_is_posted_with_the_headers_of_the_config() -> None:
    with HttpReceiver() as receiver:
        post(target(receiver.url, headers={"Authorization": "Bearer t0ken"}), CONTENT)
    (posted,) = receiver.taken
    assert (posted.path, posted.body) == (f"/{SECRET}", b"{}")
    assert posted.headers["Authorization"] == "Bearer t0ken"
    assert posted.headers["Content-Type"] == "application/json"


def test_alertmanager_is_addressed_behind_its_root() -> None:
    with HttpReceiver() as receiver:
        alertmanager = {"name": "am", "type": "alertmanager", "url": f"{receiver.url}/prefix/"}
        post(TargetConfig.model_validate(alertmanager), Content("/api/v2/alerts", "application/json", b"[]"))
    assert receiver.taken[0].path == "/prefix/api/v2/alerts"


@pytest.mark.parametrize("status", [301, 401, 404, 408, 429, 500, 503, DROP])
def test_what_may_pass_is_to_be_tried_again(status) -> None:
    with HttpReceiver([status]) as receiver, pytest.raises(NotDeliveredError) as raised:
        post(target(receiver.url), CONTENT)
    assert SECRET not in str(raised.value)
    assert "chat" in str(raised.value)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_wrong_with_the_alert_is_not(status) -> None:
    with HttpReceiver([status]) as receiver, pytest.raises(RefusedError, match=str(status)):
        post(target(receiver.url), CONTENT)


def test_a_receiver_may_say_when_to_try_again() -> None:
    with (
        HttpReceiver([429], headers={"Retry-After": "7"}) as receiver,
        pytest.raises(NotDeliveredError) as raised,
    ):
        post(target(receiver.url), CONTENT)
    assert raised.value.retry_after_seconds == 7


def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    with pytest.raises(NotDeliveredError, match="cannot be reached"):
        post(target(f"http://127.0.0.1:{free_ports(1)[0]}"), CONTENT)


def test_secrets_are_not_shown() -> None:
    shown = repr(target("https://chat.example:8443", headers={"Authorization": "Bearer t0ken"}))
    assert "chat.example:8443" in shown
    assert SECRET not in shown
    assert "t0ken" not in shown
