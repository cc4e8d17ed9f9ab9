"""A report as PDF, printed by a Chromium of the machine without its window."""

import subprocess
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from slastream.errors import DeliveryError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
PRINTS_WITHIN_SECONDS = 120


def report_pdf(page: bytes, language: str) -> bytes:
    """Prints the HTML form. Raises DeliveryError without such a browser or the letters of the language, or if it prints nothing."""
    browser = next((found for name in BROWSERS if (found := which(name)) is not None), None)
    if browser is None:
        raise DeliveryError(
            "--format pdf: needs Chromium or Chrome, and none is on the PATH; install it, "
            "or write --format html and print the page from any browser"
        )
    if not _has_letters(language):
        raise DeliveryError(
            f"--format pdf: no font of this machine has the letters of --language {language}; "
            "install one (on Debian fonts-nanum), or write --format html and print it where there is one"
        )
    with TemporaryDirectory(prefix="slastream-report-") as folder:
        source, result = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_bytes(page)
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile", f"--print-to-pdf={result}", source.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=PRINTS_WITHIN_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise DeliveryError(
                f"--format pdf: {browser} printed nothing in {PRINTS_WITHIN_SECONDS} s; write --format html"
            ) from None
        if not result.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise DeliveryError(f"--format pdf: {browser} printed nothing and said: {said[0]}; write --format html")
        return result.read_bytes()


def _has_letters(language: str) -> bool:
    """Is there a font for it? As fontconfig says; where that is not installed the browser finds its fonts by itself."""
    lister = which("fc-list")
    if lister is None:
        return True
    fonts = subprocess.run([lister, f":lang={language}"], capture_output=True, timeout=60, check=False)  # noqa: S603
    return bool(fonts.stdout.strip())
