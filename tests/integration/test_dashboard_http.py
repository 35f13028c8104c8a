"""The dashboard over HTTP and as a command: what it serves, to whom, and what wrong input gets."""

from __future__ import annotations

import errno
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest
import redis

from monitor.config.file import load_config
from monitor.dashboard.server import DashboardServer
from monitor.history import read_segment
from tests.cli_setup import complaints, run
from tests.dashboard_seed import MINUTE_MS, START_MS, SeededMonitor, write_config
from tests.servers.redis import RedisServer

TOKEN = "a-token-that-is-long-enough"
SECONDS = 30


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str

    @property
    def data(self) -> Any:
        return json.loads(self.body)


def ask(url: str, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
    """Send one request as it is, without following anything."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
    connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    answer = Answer(
        response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode()
    )
    connection.close()
    return answer


@pytest.fixture
def monitor(redis_url: str) -> Iterator[SeededMonitor]:
    monitor = SeededMonitor(redis_url, "digits")
    for i in range(4):
        monitor.feed({"all": monitor.harmful() if i > 1 else monitor.clean()}, START_MS + i * MINUTE_MS)
    yield monitor
    monitor.close()


@pytest.fixture
def serve(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., str]]:
    running: list[DashboardServer] = []

    def start(monitor: SeededMonitor, url: str = redis_url, token: str | None = None) -> str:
        config = load_config(write_config(tmp_path, url, [monitor.config()]))
        running.append(DashboardServer(config, "127.0.0.1", 0, token).__enter__())
        return running[-1].url

    yield start
    for server in running:
        server.__exit__(None, None, None)


class TestData:
    def test_segment_is_what_redis_holds(self, monitor, serve):
        history = read_segment(monitor.connection, monitor.keys, "all")

        data = ask(serve(monitor), "/api/segment?monitor=digits&segment=all").data

        verdicts = data["verdicts"]
        assert (data["state"], data["since_ms"]) == ("drift", START_MS + 3 * MINUTE_MS)
        for column in ("sequence", "p_value", "statistic", "threshold", "drift", "mean", "tested_ms"):
            assert verdicts[column] == [getattr(verdict, column) for verdict in history.verdicts]
        assert verdicts["state"] == ["normal", "normal", "pending", "drift"]
        assert verdicts["alert"] == [None, None, None, "detected"]
        assert verdicts["rate"] == [None, *[pytest.approx(20 / 60)] * 3]
        assert data["references"][monitor.version]["in_force"]
        assert data["last"]["comparison"]["distance"] == pytest.approx(
            history.verdicts[-1].statistic, abs=1e-12
        )
        assert [tuple(e.values()) for e in data["last"]["examples"]] == list(history.last.pane.examples)

    def test_overview_notices_that_redis_was_emptied_and_filled_anew(
        self, monitor, serve, redis_client, redis_url
    ):
        url = serve(monitor)
        before = ask(url, "/api/overview").data["monitors"][0]["segments"][0]
        redis_client.flushdb()
        assert ask(url, "/api/overview").data["monitors"][0]["segments"] == []

        again = SeededMonitor(redis_url, "digits")
        for i in range(4):
            again.feed({"all": again.harmful() if i > 1 else again.clean()}, START_MS + i * MINUTE_MS)
        again.feed({"all": again.clean()}, START_MS + 4 * MINUTE_MS)

        after = ask(url, "/api/overview").data["monitors"][0]["segments"][0]
        assert (before["last"]["sequence"], after["last"]["sequence"]) == (4, 5)
        again.close()

    def test_state_that_outlived_its_verdicts_is_shown(self, monitor, serve, redis_client):
        """Where a segment stands is restored after a loss of Redis; the history is not."""
        redis_client.delete(monitor.keys.verdicts("all"), monitor.keys.last("all"))
        url = serve(monitor)

        assert ask(url, "/api/overview").data["monitors"][0]["segments"][0]["state"] == "drift"
        data = ask(url, "/api/segment?monitor=digits&segment=all").data
        assert (data["state"], data["last"], data["verdicts"]["sequence"]) == ("drift", None, [])

    def test_reading_is_all_that_it_needs_to_be_allowed(self, monitor, serve, redis_client):
        redis_client.acl_setuser(
            "viewer",
            enabled=True,
            passwords=["+s3cret"],
            keys=["drift:*"],
            categories=["-@all", "+@read", "+@connection", "+@transaction"],
            reset=True,
        )
        server = urlsplit(monitor.connection._where)
        url = serve(monitor, url=f"redis://viewer:s3cret@{server.netloc}{server.path}")

        assert ask(url, "/api/overview").status == 200
        assert ask(url, "/api/segment?monitor=digits&segment=all").status == 200
        redis_client.acl_deluser("viewer")

    def test_altered_reference_is_said_to_be(self, monitor, serve, redis_client):
        redis_client.set(monitor.keys.reference_scores(monitor.version), b"\0" * 800)

        last = ask(serve(monitor), "/api/segment?monitor=digits&segment=all").data["last"]

        assert last["comparison"] is None
        assert "was altered in Redis" in last["problem"]

    def test_unknown_monitor(self, monitor, serve):
        answer = ask(serve(monitor), "/api/segment?monitor=nonsense&segment=all")

        assert (answer.status, answer.data) == (404, {"error": "The config has no monitor 'nonsense'."})

    def test_lost_redis(self, monitor, new_redis: Callable[..., RedisServer], serve):
        server = new_redis()
        url = serve(monitor, url=server.url)
        server.stop()

        answer = ask(url, "/api/overview")

        assert answer.status == 503
        assert "cannot be used right now" in answer.data["error"]


class TestAccess:
    @pytest.mark.parametrize("path", ["/", "/api/overview", "/static/style.css", "/sign-in", "/nothing"])
    def test_every_answer_keeps_other_sites_and_scripts_out(self, monitor, serve, path):
        headers = ask(serve(monitor), path).headers

        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers

    def test_page_holds_no_script_of_its_own(self, monitor, serve):
        page = ask(serve(monitor), "/").body

        assert "<script>" not in page
        assert "style=" not in page
        assert "http" not in page.replace("http-equiv", "")

    def test_name_that_a_stranger_made_resolve_to_this_machine_is_refused(self, monitor, serve):
        url = serve(monitor)

        assert ask(url, "/api/overview", Host="evil.example").status == 400
        assert ask(url, "/api/overview", Host="localhost:1234").status == 200

    def test_data_need_the_token(self, monitor, serve):
        url = serve(monitor, token=TOKEN)

        assert ask(url, "/api/overview").status == 401
        assert ask(url, "/api/overview", Authorization="Bearer wrong-token-of-some-length").status == 401
        assert ask(url, "/api/segment?monitor=digits&segment=all").status == 401
        assert ask(url, f"/api/overview?token={TOKEN}").status == 401
        assert ask(url, "/api/overview", Authorization=f"Bearer {TOKEN}").status == 200

    def test_token_becomes_a_cookie(self, monitor, serve):
        url = serve(monitor, token=TOKEN)

        asked = ask(url, "/")
        assert (asked.status, asked.headers["location"]) == (303, "sign-in")
        form = {"content_type": "application/x-www-form-urlencoded"}
        refused = ask(url, "/sign-in", method="POST", body=urlencode({"token": "nonsense"}), **form)
        assert refused.status == 403
        assert "set-cookie" not in refused.headers
        for admitted in (
            ask(url, "/sign-in", method="POST", body=urlencode({"token": TOKEN}), **form),
            ask(url, f"/?token={TOKEN}"),
        ):
            assert (admitted.status, admitted.headers["location"]) == (303, "./")
            cookie = admitted.headers["set-cookie"].split(";")[0]
            assert TOKEN not in cookie
            assert ask(url, "/api/overview", Cookie=cookie).status == 200

    def test_token_of_another_dashboard_does_not_fit(self, monitor, serve):
        cookie = ask(serve(monitor, token=TOKEN), f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]

        assert ask(serve(monitor, token=TOKEN[::-1]), "/api/overview", Cookie=cookie).status == 401

    def test_nothing_can_be_changed(self, monitor, serve):
        url = serve(monitor)

        for method in ("POST", "PUT", "DELETE"):
            assert ask(url, "/api/overview", method=method).status == 405

    def test_static_files_end_at_their_folder(self, monitor, serve):
        assert ask(serve(monitor), "/static/../app.py").status == 404
        assert ask(serve(monitor), "/static/%2e%2e/app.py").status == 404

    def test_oversized_form_is_refused(self, monitor, serve):
        assert (
            ask(serve(monitor, token=TOKEN), "/sign-in", method="POST", body="token=" + "x" * 5000).status
            == 413
        )


class TestCommand:
    def test_serves_until_it_is_told_to_stop(self, tmp_path, monitor, redis_url):
        config = write_config(tmp_path, redis_url, [monitor.config()])
        command = [sys.executable, "-m", "monitor.cli.main", "dashboard", "-c", str(config), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                line = process.stdout.readline()
                url = line.split()[1]
                assert ask(url, "/api/overview").data["monitors"][0]["monitor"] == "digits"
                # Whoever listens on all addresses answers at any of 127.0.0.0/8.
                with socket.socket() as probe:
                    assert probe.connect_ex(("127.0.0.2", urlsplit(url).port)) == errno.ECONNREFUSED
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
        assert (process.returncode, errors) == (0, "")
        assert line == f"Dashboard: {url} (Ctrl-C ends)\n"

    def test_needs_no_tensorflow(self, tmp_path, monitor, redis_url):
        config = write_config(tmp_path, redis_url, [monitor.config()])
        script = (
            "import sys; from pathlib import Path; from monitor.config.file import load_config;"
            " from monitor.dashboard.server import DashboardServer;"
            f" DashboardServer(load_config(Path({str(config)!r})), '127.0.0.1', 0).__enter__();"
            " sys.exit('tensorflow' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", script], timeout=SECONDS, check=False).returncode == 0

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (
                ("--host", "0.0.0.0"),
                "--host: 0.0.0.0 can be reached from other machines, so the dashboard needs a token there;"
                " give --token, at least 16 characters.",
            ),
            (("--token", "short"), "--token: must be at least 16 characters, printable ASCII."),
            (
                ("--token", "ein-schlüssel-mit-umlaut"),
                "--token: must be at least 16 characters, printable ASCII.",
            ),
        ],
    )
    def test_open_to_others_it_needs_a_good_token(self, tmp_path, monitor, redis_url, arguments, complaint):
        result = run("dashboard", "-c", write_config(tmp_path, redis_url, [monitor.config()]), *arguments)

        assert (result.exit_code, complaints(result)) == (2, [complaint])

    def test_token_may_come_from_the_environment(self, tmp_path, monitor, redis_url, monkeypatch):
        monkeypatch.setitem(os.environ, "DRIFT_MONITOR_TOKEN", "short")

        result = run("dashboard", "-c", write_config(tmp_path, redis_url, [monitor.config()]))

        assert complaints(result) == ["--token: must be at least 16 characters, printable ASCII."]

    def test_port_in_use(self, tmp_path, monitor, redis_url):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            config = write_config(tmp_path, redis_url, [monitor.config()])
            result = run("dashboard", "-c", config, "--port", port)

        assert result.exit_code == 2
        assert complaints(result) == [
            f"The dashboard cannot listen on 127.0.0.1, port {port}: Address already in use;"
            " choose another --host or --port."
        ]

    def test_wrong_password(self, tmp_path, monitor, new_redis):
        server: RedisServer = new_redis({"requirepass": "right"})
        url = server.url.replace("right", "wrong")

        result = run("dashboard", "-c", write_config(tmp_path, url, [monitor.config()]), "--port", 0)

        assert result.exit_code == 2
        (complaint,) = complaints(result)
        assert complaint.startswith("Redis: Redis at redis://127.0.0.1")
        assert "refused the user name or password" in complaint
        assert "wrong" not in complaint.replace("wrongpass", "").replace("WRONGPASS", "")

    def test_redis_that_is_not_there(self, tmp_path, monitor, new_redis):
        server: RedisServer = new_redis()
        server.stop()

        result = run("dashboard", "-c", write_config(tmp_path, server.url, [monitor.config()]))

        assert result.exit_code == 2
        assert "cannot be used right now" in complaints(result)[0]


def test_redis_of_the_tests_is_left_as_it_was(monitor, serve, redis_client: redis.Redis):
    url = serve(monitor)
    before = {key: redis_client.dump(key) for key in redis_client.scan_iter()}

    ask(url, "/api/overview")
    ask(url, "/api/segment?monitor=digits&segment=all")
    ask(url, "/api/segment?monitor=digits&segment=nobody-heard-of-it")

    assert {key: redis_client.dump(key) for key in redis_client.scan_iter()} == before
