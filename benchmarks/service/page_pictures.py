"""Photograph the page of a real server with the shipped speech: ``python -m benchmarks.service.page_pictures URL``."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import find_browser
from voiceflow_ml.models.shipped import shipped_speech_path

PICTURES = Path(__file__).parents[2] / "docs" / "examples"
SIZES = {"service-page.png": (1280, 900), "service-page-phone.png": (390, 844)}
_PATIENCE_MS = 60_000


def photograph(url: str, folder: Path = PICTURES, *, dark: bool = False) -> None:
    """Write a picture of the page at each size.

    Args:
        url: of a server that serves.
        folder: where the pictures go.
        dark: in the colours of the dark mode.
    """
    browser_path = find_browser()
    if browser_path is None:
        raise SystemExit("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path)
        for name, (width, height) in SIZES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
            )
            page.goto(url)
            _fill(page)
            page.screenshot(path=folder / name, full_page=True)
        browser.close()


def _fill(page: Page) -> None:
    """First as a stream, for the latency, then as a file."""
    about = page.locator("#about")
    page.get_by_label("play it as a live stream").check()
    page.locator("#file").set_input_files(shipped_speech_path())
    about.get_by_text("ended").wait_for(timeout=_PATIENCE_MS)
    page.get_by_label("play it as a live stream").uncheck()
    page.get_by_label("Speakers in a file").select_option("2")
    page.locator("#file").set_input_files(shipped_speech_path())
    about.get_by_text("s of sound in").wait_for(timeout=_PATIENCE_MS)
    page.locator("#version").get_by_text("-").wait_for(timeout=_PATIENCE_MS)


if __name__ == "__main__":
    photograph(sys.argv[1])
