"""A browser that looks at the pages of reports."""

import os
from collections.abc import Iterator
from shutil import which

import pytest
from playwright.sync_api import Page, sync_playwright

from .report_looks import A4_IN_PIXELS


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    """Not for the whole session: while Playwright runs, its event loop is that of the thread, and no other may."""
    chromium = which("chromium") or which("google-chrome")
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium on the PATH")
        pytest.skip("no chromium on the PATH: install it to look at the pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": A4_IN_PIXELS, "height": 1123})
        yield page
        browser.close()
