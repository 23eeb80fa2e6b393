"""The page in a real browser: nothing blank, broken, or in error."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from vlcore.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH"),
]

# Runs in a copy of the page, for the page itself allows no script.
PROBE = """<script>
window.onload = () => {
  const images = [...document.images];
  const broken = images.filter(image => !image.complete || image.naturalWidth === 0).length;
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const seen = JSON.stringify({images: images.length, broken, wide, title: document.title});
  document.documentElement.dataset.seen = encodeURIComponent(seen);
};
</script></body>"""


def browse(folder, *options):
    environment = {**os.environ, "HOME": str(folder)}
    return subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
         f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *options],
        capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=folder,
    )  # fmt: skip


@pytest.fixture
def page(report_data, tmp_path):
    return write_report(tmp_path / "report.html", report_data)[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshot_is_not_blank_and_the_console_is_silent(page, scheme):
    shot = page.with_suffix(".shot.png")
    setting = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    done = browse(page.parent, setting, "--window-size=1200,2400", f"--screenshot={shot}", page.as_uri())
    assert shot.is_file(), done.stderr
    assert not re.search(r"CONSOLE.*", done.stderr)
    pixels = np.asarray(Image.open(shot).convert("L"), dtype=np.float32)
    assert pixels.shape == (2400, 1200)
    assert pixels.std() > 15
    # Every strip of 300 pixels holds something: no section is lost.
    assert all(strip.std() > 3 for strip in np.split(pixels, 8))
    assert (np.median(pixels) < 60) == (scheme == "dark")


@pytest.mark.parametrize("width", [1200, 500])
def test_no_picture_is_broken_and_nothing_runs_over_the_edge(page, width):
    html = page.read_text(encoding="utf-8")
    copy = page.with_name("probe.html")
    without_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    copy.write_text(without_policy.replace("</body>", PROBE), encoding="utf-8")
    done = browse(page.parent, f"--window-size={width},1000", "--dump-dom", copy.as_uri())
    found = re.search(r'data-seen="([^"]+)"', done.stdout)
    assert found, done.stderr
    seen = json.loads(unquote(found[1]))
    assert seen["images"] > 20
    assert seen["broken"] == 0
    assert seen["wide"] <= 0
    assert seen["title"].startswith("Report <script>")
