"""Draws the page of `depthseed view` for these pages: the images of a finished RunAll, the worst first.

    python docs/view_picture.py --output docs/view.png --dataset demo [RunAll's other flags]

It needs the package playwright and a Chromium. Use it only for data that may be shown, such as the demo's own.
"""

from __future__ import annotations

import argparse
import io
import shutil
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from pipeline.asked import parsed
from pipeline.view.run import ViewedRun
from pipeline.view.server import make_server

SORTED = """() => {
    const all = [...document.querySelectorAll('#rows img')];
    const numbers = [...document.querySelectorAll('#rows .number')];
    return numbers.length && numbers.every(one => one.innerText.includes('%'))
        && !document.querySelector('#note').innerText.includes('measured')
        && all.every(one => one.complete && one.naturalWidth > 0);
}"""
"""True when all images are measured and sorted, and all pictures of the rows are there."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    options, flags = parser.parse_known_args()
    with parsed("WriteReport", flags) as report:
        run = ViewedRun(report)
    server = make_server(run, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])  # the page is our own
        page = browser.new_page(viewport={"width": 1680, "height": 820})
        page.set_default_timeout(300_000)
        page.goto(f"http://127.0.0.1:{server.server_port}")
        page.wait_for_selector("#rows .row")
        page.click("#sort")
        page.get_by_text("IoU of the pseudo-label").click()
        page.wait_for_function(SORTED)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    server.shutdown()
    picture.convert("RGB").quantize(256).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
