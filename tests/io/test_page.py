"""A scene as one page, opened from the disk in a browser: what it shows first is the photo, and it asks no network."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import splatmem as sm
import torch
from PIL import Image
from splatmem.gaussians.transform import transformed
from splatmem.geometry.similarity import Similarity
from splatmem.jobs.export import write_splats
from splatmem.metrics import psnr

from live.chromium import Browser, until, why_not

VIEW = (192, 128)
MIN_PSNR = 25.0
SPZ_STEP = 2.0**-12 + 1e-6
WITHOUT_THE_BAR = "document.getElementById('bar').style.visibility = 'hidden'"
in_a_browser = pytest.mark.skipif(bool(why_not()), reason=why_not())


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

    def show_drawn(self, file: Path) -> None:
        """The page, once its viewer has drawn; without what lies over the picture."""
        self.show(file)
        until("a drawing", lambda: self.drawn() > 0)
        self.driver.execute_script(WITHOUT_THE_BAR)

    def drawn(self) -> int:
        """How many pictures the viewer has drawn."""
        return int(self.driver.execute_script("return document.body.dataset.drawn") or 0)

    def picture(self) -> np.ndarray:
        shown = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        assert shown.size == VIEW
        return np.asarray(shown.resize((VIEW[0] // 2, VIEW[1] // 2), Image.Resampling.BOX))

    def press_button(self, name: str) -> None:
        self.driver.execute_script("document.getElementById(arguments[0]).click()", name)

    def show_frame(self, index: int) -> None:
        self.driver.execute_script(
            "const time = document.getElementById('time'); time.value = arguments[0]; time.dispatchEvent(new Event('input'))",
            index,
        )

    def asked_for(self) -> list[str]:
        """Addresses of all that was asked for since the last time, but the browser's own and what is inside the page."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        asked += [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
        return [address for address in asked if not address.startswith(("chrome:", "data:", "blob:"))]


def splats_of(page: Path) -> bytes:
    """The .spz that a page holds, its places and rotations put together again."""
    found = re.search(r'id="splats">([^<]*)<', page.read_text())
    assert found is not None
    content = np.frombuffer(gzip.decompress(base64.b64decode(found[1])), np.uint8)
    version, count = (int(number) for number in content[4:12].view("<u4"))
    assert version == 3, "the version that is written today: rotations have four bytes"
    head, places, others, rotations = np.split(content, [16, 16 + 9 * count, len(content) - 4 * count])
    parts = (head, places.reshape(9, count).T, others, rotations.reshape(4, count).T)
    return gzip.compress(b"".join(part.tobytes() for part in parts))


def likeness(picture: np.ndarray, other: torch.Tensor) -> float:
    return psnr(torch.from_numpy(picture.copy()).float() / 255, other.float())


@pytest.fixture(scope="module")
def scene(small_run: Path) -> sm.Scene:
    return sm.Scene.open(small_run, device="cpu")


@pytest.fixture(scope="module")
def page(scene: sm.Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run's film as a page; a blank in its name, as a person's files have."""
    file = tmp_path_factory.mktemp("page") / "a page.html"
    assert scene.film_cameras is not None
    write_splats(scene.memory, file, scene.film_cameras)
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageBrowser]:
    browser = PageBrowser(tmp_path_factory.mktemp("profile"), {"goog:loggingPrefs": {"performance": "ALL"}})
    yield browser
    browser.quit()


def test_a_page_holds_the_whole_scene(page: Path, scene: sm.Scene, tmp_path: Path) -> None:
    text = page.read_text()
    assert re.search(r"\{\{\w+\}\}", text) is None, "every part is filled in"
    film = re.search(r'id="film">([^<]*)<', text)
    assert film is not None
    (tmp_path / "s.spz").write_bytes(splats_of(page))
    assert len(sm.load_splats(tmp_path / "s.spz")) == len(scene.memory.gaussians)
    assert scene.film_cameras is not None
    told = json.loads(film[1])
    assert len(told["poses"]) == len(told["fovs"]) == len(scene.film_cameras)
    assert 0 < told["given"] < len(scene.memory.gaussians)


@pytest.mark.parametrize("size", [2.0**-9, 2.0**9])
def test_a_scene_in_other_units_gives_the_same_page(scene: sm.Scene, size: float, tmp_path: Path) -> None:
    gaussians, camera = scene.memory.gaussians, scene.memory.views[0].camera
    scaled = transformed(gaussians, Similarity(torch.eye(3), size, torch.zeros(3)))
    places = []
    for some in (gaussians, scaled):
        sm.save_splats(some, tmp_path / "p.html", cameras=camera)
        (tmp_path / "s.spz").write_bytes(splats_of(tmp_path / "p.html"))
        places.append(sm.load_splats(tmp_path / "s.spz").means)
    torch.testing.assert_close(*places, atol=SPZ_STEP, rtol=0)


@in_a_browser
def test_the_first_view_is_the_photo(browser: PageBrowser, scene: sm.Scene, page: Path) -> None:
    browser.asked_for()
    browser.show_drawn(page)
    photo = scene.memory.first_photo
    until("a picture like the photo", lambda: likeness(browser.picture(), photo) >= MIN_PSNR)
    picture = browser.picture()
    assert likeness(picture[:, ::-1], photo) < likeness(picture, photo) - 2, "mirrored"
    assert browser.asked_for() == [page.as_uri()]


@in_a_browser
def test_the_film_is_the_film(browser: PageBrowser, scene: sm.Scene, page: Path) -> None:
    browser.show_drawn(page)
    assert scene.film_cameras is not None
    index = len(scene.film_cameras) // 3
    own = torch.as_tensor(scene.memory.film(scene.film_cameras[index])[0]).reshape(VIEW[1] // 2, VIEW[0] // 2, 3)
    assert likeness(browser.picture(), own) < MIN_PSNR, "another view than the first"
    browser.show_frame(index)
    until("the frame", lambda: likeness(browser.picture(), own) >= 30)


@in_a_browser
def test_the_film_waits_to_be_played(browser: PageBrowser, page: Path) -> None:
    """Nothing is drawn anew until something changes: a page that draws for ever warms a phone's pocket."""
    browser.show_drawn(page)
    first = until("a picture", lambda: [browser.picture()])[0]
    assert np.ptp(first) > 100
    assert browser.drawn() == 1
    browser.press_button("play")
    until("the film", lambda: np.abs(browser.picture().astype(int) - first).mean() > 5)
    browser.press_button("play")
    until("a rest", lambda: browser.drawn() == (browser.picture(), browser.drawn())[1])


@in_a_browser
def test_what_was_made_can_be_hidden(browser: PageBrowser, scene: sm.Scene, page: Path) -> None:
    browser.show_drawn(page)
    index = len(scene.film_cameras or ()) // 2
    browser.show_frame(index)
    until("the frame", lambda: browser.drawn() > 1)
    whole = browser.picture()
    browser.press_button("given")
    until("less", lambda: (browser.picture().max(axis=2) < 40).mean() > (whole.max(axis=2) < 40).mean() + 0.05)
    browser.press_button("given")
    until("the whole again", lambda: np.array_equal(browser.picture(), whole))


@in_a_browser
def test_the_visitor_looks_around_and_comes_back(browser: PageBrowser, page: Path) -> None:
    browser.show_drawn(page)
    first = browser.picture()
    for act in (
        lambda: browser.drag_picture([(0.5, 0.5), (0.8, 0.6)]),
        lambda: browser.press("w", 0.5),
        lambda: browser.swipe([(0.5, 0.5), (0.7, 0.5)]),
        lambda: browser.actions().scroll_by_amount(0, -400).perform(),
    ):
        act()
        until("another picture", lambda: np.abs(browser.picture().astype(int) - first).mean() > 2)
        browser.press_button("first")
        until("the first picture", lambda: np.array_equal(browser.picture(), first))


@in_a_browser
def test_beside_the_film_s_picture_nothing_shows_until_the_visitor_looks_around(browser: PageBrowser, page: Path) -> None:
    browser.show_drawn(page)
    taller = {"width": VIEW[0], "height": 2 * VIEW[1], "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", taller)
    style = "return getComputedStyle(document.querySelector('canvas')).clipPath"
    until("a picture with bars", lambda: browser.driver.execute_script(style) == f"inset({VIEW[1] // 2}px 0px)")
    browser.press("w", 0.1)
    until("a picture without", lambda: browser.driver.execute_script(style) == "inset(0px)")
    browser.press_button("first")
    until("bars again", lambda: browser.driver.execute_script(style) == f"inset({VIEW[1] // 2}px 0px)")


@in_a_browser
def test_a_damaged_page_says_so_over_its_picture(browser: PageBrowser, scene: sm.Scene, page: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.html"
    damaged.write_text(re.sub(r'(id="splats">)[^<]{100}', r"\1", page.read_text()))
    browser.show(damaged)
    until("a message", lambda: "cannot be shown" in browser.text)
    free = slice(0, VIEW[1] // 12)  # the message lies over the lower part
    assert likeness(browser.picture()[free], scene.memory.first_photo[free]) >= MIN_PSNR
