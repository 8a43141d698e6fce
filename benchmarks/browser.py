"""A browser without a window: what a page becomes once it is open, and a picture of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_TIMEOUT_S = 120


def find_browser() -> str | None:
    """Path of a Chromium that is installed; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def rendered(browser: str, page: Path, *options: str) -> str:
    """The document of a page after its scripts, if it has any, have run."""
    return _run(browser, page, "--dump-dom", *options)


def photograph(browser: str, page: Path, picture: Path, *, width: int, most_height: int = 20_000) -> None:
    """Write a PNG of a whole page.

    Args:
        browser: of :func:`find_browser`.
        page: an HTML file.
        picture: the file to write.
        width: of the window in pixels.
        most_height: a longer page is cut there.
    """
    height = min(_height(browser, page, width), most_height)
    _run(browser, page, f"--window-size={width},{height}", f"--screenshot={picture.resolve()}")


def _height(browser: str, page: Path, width: int) -> int:
    """How high a page is at a width, told by a frame around it that has this width."""
    with tempfile.TemporaryDirectory() as folder:
        frame = Path(folder) / "frame.html"
        frame.write_text(
            f"<iframe id=f width={width} height=100 style='border:0' src='{page.resolve().as_uri()}'></iframe>"
            "<script>f.onload=()=>document.title=f.contentDocument.documentElement.scrollHeight</script>",
            encoding="utf-8",
        )
        document = rendered(browser, frame, "--allow-file-access-from-files")
    return int(document.partition("<title>")[2].partition("<")[0])


def _run(browser: str, page: Path, *options: str) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [browser, *_OPTIONS, f"--user-data-dir={profile}", *options, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{browser} ended with {done.returncode}: {done.stderr[-2_000:]}")
    return done.stdout
