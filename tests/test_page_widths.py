"""The built pages of docs/ in a browser: none is wider than a phone's or a desktop's window, and all their pictures show."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LOOK = """
const edge = document.documentElement.clientWidth
const scrolls = part => part && part !== document.body && (
  getComputedStyle(part).overflowX !== 'visible' || scrolls(part.parentElement))
const wide = [...document.querySelectorAll('body *')].filter(part =>
  part.getBoundingClientRect().right > edge + 1 && !scrolls(part.parentElement) && getComputedStyle(part).position !== 'fixed')
const said = wide.map(part => part.tagName + ': ' + part.textContent.trim().slice(0, 40))
if (document.documentElement.scrollWidth > edge) said.push('the page scrolls sideways')
const lost = [...document.images].filter(picture => !picture.complete || !picture.naturalWidth)
return [...said, ...lost.map(picture => 'no picture: ' + picture.src)]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs Debian's chromium and chromium-driver ({' and '.join(missing)} not found)")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)], cwd=PROJECT, check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(site: Path, width: int) -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    window = {"width": width, "height": 844, "pixelRatio": 1.0, "mobile": width < 600, "touch": width < 600}
    options.add_experimental_option("mobileEmulation", {"deviceMetrics": window})  # a window itself has 500 pixels at least
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        driver.get("data:text/html,<!doctype html><body><p style='width:2000px'>far</p>")
        assert driver.execute_script(LOOK), "this is how a page that is too wide looks"
        found = {}
        for page in sorted(site.rglob("*.html")):
            if "images" not in page.parts:  # scenes to look around in
                driver.get(page.as_uri())
                found[str(page.relative_to(site))] = driver.execute_script(LOOK)
    finally:
        driver.quit()
    assert len(found) > 20
    assert not {page: said for page, said in found.items() if said}
