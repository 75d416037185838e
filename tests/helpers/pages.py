"""Headless Chromium for tests of pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_or_skip() -> tuple[str, str]:
    """Paths of a browser and its driver; where CI says that there must be one, a failure."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    missing = "there is no chromium with its chromedriver on the path"
    if os.environ.get("EVONAS_BROWSER") == "required":
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def opened(path: Any, *, width: int, height: int) -> Iterator[Any]:
    """A page in a window of that size in CSS pixels, as a selenium driver."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser, driver = browser_or_skip()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Root, as CI often is, has no sandbox; and a container's shared memory is small.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    page = webdriver.Chrome(options=options, service=Service(driver))
    try:
        # A window has a least width; a device's screen has not.
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        page.execute_cdp_cmd("Network.enable", {})
        page.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
        page.get(path.as_uri())
        yield page
    finally:
        page.quit()


OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
