"""Headless Chromium for tests of pages, and what it takes to have one."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By

T = TypeVar("T")

WAIT_SECONDS = 60.0
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # as root, Chromium has none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def require_chromium() -> None:
    """Skip the test where there is no Chromium; in CI, where there has to be one, fail it."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if not missing:
        return
    why = f"{' and '.join(missing)} is not on the PATH (on Debian: apt install chromium chromium-driver)"
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"Chromium is required with CI=true, but {why}", pytrace=False)
    pytest.skip(f"needs Chromium, but {why}")


class Browser:
    """One headless Chromium; what its console said can be asked for."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(
            prefix="drift-monitor-chromium-", ignore_cleanup_errors=True
        )
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (*_ARGUMENTS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)

    def close(self) -> None:
        """End it."""
        self.driver.quit()
        self._profile.cleanup()

    def start_afresh(self) -> None:
        """Forget cookies, emulations and what the console said."""
        self.live_in("")
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.look(width=1280, height=900)
        self.console()

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Have a window of this size, and a user who prefers light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def live_in(self, time_zone: str) -> None:
        """Be in a time zone such as Asia/Kolkata; empty is the machine's."""
        self.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": time_zone})

    def console(self) -> list[str]:
        """Return what the console said since this was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, css: str) -> str:
        """Text of the first element that fits, as it is shown; empty when there is none."""
        found = self.driver.find_elements(By.CSS_SELECTOR, css)
        return found[0].text if found else ""

    def cells(self, rows: str) -> list[list[str]]:
        """Text of the cells of table rows, hidden or not."""
        found: list[list[str]] = self.run(
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((row) => [...row.children].map((cell) => cell.textContent))",
            rows,
        )
        return found

    def keys(self, *keys: str) -> None:
        """Press keys where the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def wait(self, what: str, found: Callable[[], T | None], seconds: float = WAIT_SECONDS) -> T:
        """Await something on the page."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                result = found()
            except StaleElementReferenceException:
                result = None
            if result:
                return result
            time.sleep(0.05)
        raise AssertionError(
            f"{what} did not come in {seconds} s; the page says: {self.text('body')[:600]!r}"
        )

    def wait_for_text(self, css: str, part: str) -> str:
        """Await a text in an element and return all of its text."""
        return self.wait(f"{part!r} in {css}", lambda: text if part in (text := self.text(css)) else None)
