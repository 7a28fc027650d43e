"""A scene as one page, opened from the disk in a browser: what it shows first is the photo, and it asks no network."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import splatmem as sm
import torch
from PIL import Image
from splatmem.jobs.export import write_splats
from splatmem.metrics import psnr

from live.chromium import Browser, until, why_not

VIEW = (192, 128)
MIN_PSNR = 25.0
CANVAS_ALONE = """
for (const e of document.querySelectorAll('body *'))
  if (!e.querySelector('canvas') && e.tagName !== 'CANVAS') e.style.visibility = 'hidden';
"""
pytestmark = [pytest.mark.skipif(bool(why_not()), reason=why_not()), pytest.mark.slow]


class PageBrowser(Browser):
    """A browser that looks at a page of a size, and notes what it asks for."""

    def show(self, file: Path) -> None:
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
            "offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0,
        })  # fmt: skip
        view = {"width": VIEW[0], "height": VIEW[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        self.driver.get(file.as_uri())
        until("the canvas", lambda: self.driver.execute_script("return document.querySelector('canvas') !== null"))

    def picture(self) -> np.ndarray:
        self.driver.execute_script(CANVAS_ALONE)
        shown = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        assert shown.size == VIEW
        return np.asarray(shown.resize((VIEW[0] // 2, VIEW[1] // 2), Image.Resampling.BOX))

    def asked_for(self) -> list[str]:
        """Addresses of all that was asked for since the browser began, but its own."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        asked += [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
        return [address for address in asked if not address.startswith(("chrome:", "data:", "blob:"))]


def twice_the_same(browser: PageBrowser) -> list[np.ndarray]:
    """The picture, if the next one is the same; else nothing."""
    one, other = browser.picture(), browser.picture()
    return [one] if np.array_equal(one, other) else []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageBrowser]:
    browser = PageBrowser(tmp_path_factory.mktemp("profile"), {"goog:loggingPrefs": {"performance": "ALL"}})
    yield browser
    browser.quit()


def test_the_first_view_is_the_photo(browser: PageBrowser, small_run: Path, tmp_path: Path) -> None:
    scene = sm.Scene.open(small_run, device="cpu")
    camera = scene.memory.views[0].camera
    photo = scene.memory.first_photo
    file = tmp_path / "a page.html"
    write_splats(scene.memory.as_given(), file, camera)
    browser.show(file)

    def likeness(turned: bool = False) -> float:
        picture = browser.picture()[:, ::-1] if turned else browser.picture()
        return psnr(torch.from_numpy(picture.copy()).float() / 255, photo.float())

    until("a picture like the photo", lambda: likeness() >= MIN_PSNR)  # splats fade in
    assert likeness(turned=True) < likeness() - 2, "mirrored"
    assert browser.asked_for() == [file.as_uri()]


def test_the_film_waits_to_be_played(browser: PageBrowser, small_run: Path, tmp_path: Path) -> None:
    """Until then the first view stands, however slow the machine is, and nothing is drawn anew."""
    scene = sm.Scene.open(small_run, device="cpu")
    assert scene.film_cameras is not None
    file = tmp_path / "film.html"
    write_splats(scene.memory, file, scene.film_cameras)
    browser.show(file)
    shown = "return document.querySelector('.tabler-icon-player-%s-filled') !== null"
    until("a pause", lambda: browser.driver.execute_script(shown % "play"))
    until("a picture", lambda: np.ptp(browser.picture()) > 100)
    first = until("a picture that stays", lambda: twice_the_same(browser))[0]
    browser.driver.execute_script("document.querySelector('.tabler-icon-player-play-filled').parentElement.click()")
    until("the film", lambda: np.abs(browser.picture().astype(int) - first).mean() > 5)
