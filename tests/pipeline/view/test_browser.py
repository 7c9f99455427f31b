"""The page in a real Chromium without a window."""

import dataclasses
import os
import shutil
import threading

import pytest

from data.sample import TRAIN
from pipeline.view.server import make_server

pytest.importorskip("dash", reason="dash is not installed (extra view)")
api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra test)")

NAME = "<img src=x onerror=alert(1)> mug"
"""A class name that would be an element if the page did not escape it."""

ANSWER = "_dash-update-component"
"""Part of the address at which Dash answers what is set on the page."""


@pytest.fixture
def browser():
    """Debian's Chromium, or the one that playwright has installed; the test skips where none can be started."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path, args=sandbox)
        except api.Error as error:
            pytest.skip(f"no Chromium can be started here: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture
def address(run):
    """Serves the finished run, in which one class has a strange name."""
    number = run.samples(TRAIN)[0].tags[0]
    names = [NAME if place == number else name for place, name in enumerate(run.dataset.class_names)]
    run.dataset = dataclasses.replace(run.dataset, class_names=tuple(names))
    server = make_server(run, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def wait_for_pictures(page):
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('#rows img')];"
        " return all.length && all.every(one => one.complete && one.naturalWidth > 0) }"
    )


def ids(page):
    return page.locator("#rows .title b").all_inner_texts()


def test_the_page_shows_sorts_and_recomputes(run, browser, address):
    page, wrong, sent = browser.new_page(), [], []
    page.set_default_timeout(120_000)  # on a busy machine the first page takes most of a minute

    def note(answer):
        if answer.status >= 400:
            wrong.append(answer.url)
        if ANSWER in answer.url:
            sent.append(int(answer.headers["content-length"]))

    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", note)
    page.goto(address)
    page.wait_for_selector("#rows .row")
    wait_for_pictures(page)
    assert ids(page) == run.samples(TRAIN).ids[:8]  # of 10: the rest is not sent
    captions = page.locator("#rows .row").first.locator("figcaption").all_inner_texts()
    assert [text.split("\n")[0] for text in captions] == [
        "image", "depth", "CAM", "CAM seed", "superpixels", "initial seed", "pseudo-label", "ground truth",
        "red: A and B differ",
    ]  # fmt: skip

    assert page.locator("#rows .tags").first.inner_text().count(NAME) == 1
    assert page.locator("img[src=x]").count() == 0

    page.click("#next")
    page.wait_for_function("() => document.querySelectorAll('#rows .row').length == 2")
    assert ids(page) == run.samples(TRAIN).ids[8:]

    page.locator("#alpha-box [role=slider]").first.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('#rows').innerText.includes('seed, changed')")
    wait_for_pictures(page)
    changed = page.locator("#rows img[alt='seed, changed']").first.get_attribute("src")
    assert "alpha=0.41" in changed
    assert "gamma=0.02" in changed

    page.goto(address)
    page.wait_for_selector("#rows .row")
    page.click("#sort")
    page.get_by_text("IoU of the pseudo-label").click()
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('#rows .number')];"
        " return document.querySelector('#note').innerText == '10 of 10 images'"
        " && all.length == 8 && all.every(one => one.innerText.includes('%')) }"
    )
    shown = [float(text.removesuffix(" %")) for text in page.locator("#rows .number").all_inner_texts()]
    assert shown == sorted(shown)

    assert wrong == []
    assert max(sent) < 60_000  # bytes: those of eight rows
