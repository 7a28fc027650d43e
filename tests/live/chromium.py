"""Debian's chromium, without a window, as a person at the director's chair uses it."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

T = TypeVar("T")
WINDOW, PHONE = (760, 460), (390, 844)
PATIENCE = 90.0  # seconds, on a machine that does other things
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", f"--window-size={WINDOW[0]},{WINDOW[1]}",
)  # fmt: skip


def why_not() -> str:
    """Why no browser can be had here; empty if one can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        return f"needs Debian's chromium and chromium-driver ({' and '.join(missing)} not found)"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "needs the package selenium"
    return ""


def until(what: str, ask: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What ``ask`` gives once it is not false; fails when it takes too long."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.1)


class Browser:
    """One window."""

    def __init__(self, profile: Path, capabilities: dict[str, Any] | None = None) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        for name, value in (capabilities or {}).items():
            options.set_capability(name, value)
        self.driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))

    def quit(self) -> None:
        self.driver.quit()

    def open(self, address: str) -> None:
        """Opens the page, and waits until the interface is there."""
        self.driver.get(address)
        until("the interface", lambda: "Shoot" in self.text)
        # Notices are read as text; in a window as small as this one they would lie over the picture.
        self.driver.execute_script(
            "const style = document.createElement('style'); document.head.append(style);"
            "style.textContent = '[class*=mantine-Notification] {opacity: 0 !important; pointer-events: none !important}'"
        )

    def new_tab(self, address: str) -> None:
        self.driver.switch_to.new_window("tab")
        self.open(address)

    @property
    def text(self) -> str:
        """All that is written on the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def screenshot(self) -> io.BytesIO:
        """The whole window, as a PNG."""
        return io.BytesIO(self.driver.get_screenshot_as_png())

    def picture(self) -> np.ndarray:
        """What the canvas shows, ``[h, w, 3]``, 0..255."""
        shown = Image.open(self.screenshot()).convert("RGB")
        box = self.driver.execute_script(
            "const r = document.querySelector('canvas').getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]"
        )
        return np.asarray(shown.crop([round(side) for side in box]), dtype=np.int16)

    def middle_of_red(self) -> tuple[float, float]:
        """Where the middle of the red block shows, 0..1 from the upper left corner of the canvas."""
        r, g, b = np.moveaxis(self.picture(), -1, 0)
        rows, columns = np.nonzero((r > 120) & (g < 70) & (b < 70))
        return float(columns.mean() / r.shape[1]), float(rows.mean() / r.shape[0])

    def still_picture(self) -> np.ndarray:
        """What the canvas shows once that does not change any more."""
        seen: list[np.ndarray] = [self.picture()]

        def is_still() -> bool:
            time.sleep(0.5)
            seen.append(self.picture())
            return seen[-1].shape == seen[-2].shape and float(np.abs(seen[-1] - seen[-2]).mean()) < 0.2

        until("a picture that stays", is_still)
        return seen[-1]

    def actions(self) -> Any:
        from selenium.webdriver.common.action_chains import ActionChains

        return ActionChains(self.driver)

    def press(self, key: str, seconds: float = 0.0) -> None:
        """Holds a key down, over the picture and not in the panel."""
        self.driver.execute_script("document.activeElement.blur()")
        self.actions().key_down(key).pause(seconds).key_up(key).perform()

    def click_picture(self, x: float, y: float) -> None:
        """Clicks a place of the canvas, 0..1 from its upper left corner."""
        self._to(self.actions(), x, y).click().perform()

    def drag_picture(self, way: Sequence[tuple[float, float]]) -> None:
        """Drags along places of the canvas."""
        actions = self._to(self.actions(), *way[0]).click_and_hold()
        for start, end in pairwise(way):
            for share in (0.25, 0.5, 0.75, 1.0):
                actions = self._to(actions, *(a + share * (b - a) for a, b in zip(start, end, strict=True))).pause(0.1)
        actions.release().perform()

    def swipe(self, way: Sequence[tuple[float, float]]) -> None:
        """Moves a finger along places of the canvas."""
        box = self.driver.execute_script(
            "const r = document.querySelector('canvas').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
        )
        points = [{"x": box[0] + x * box[2], "y": box[1] + y * box[3]} for x, y in way]

        def touch(kind: str, where: list[dict[str, float]]) -> None:
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})

        touch("touchStart", points[:1])
        for start, end in pairwise(points):
            for share in (0.25, 0.5, 0.75, 1.0):
                touch("touchMove", [{axis: start[axis] + share * (end[axis] - start[axis]) for axis in ("x", "y")}])
                time.sleep(0.1)
        touch("touchEnd", [])

    def be_a_phone(self, on: bool) -> None:
        """Makes the window as large as a phone's, with a finger in the place of the mouse; or what it was again."""
        command = self.driver.execute_cdp_cmd
        if on:
            size = {"width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 1, "mobile": True}
            command("Emulation.setDeviceMetricsOverride", size)
        else:
            command("Emulation.clearDeviceMetricsOverride", {})
        command("Emulation.setTouchEmulationEnabled", {"enabled": on, "maxTouchPoints": 5 if on else 1})

    def tap_picture(self, x: float, y: float) -> None:
        """Taps a place of the canvas with a finger."""
        box = self.driver.execute_script(
            "const r = document.querySelector('canvas').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
        )
        point = {"x": box[0] + x * box[2], "y": box[1] + y * box[3]}
        for kind, points in (("touchStart", [point]), ("touchEnd", [])):
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            time.sleep(0.1)

    def _to(self, actions: Any, x: float, y: float) -> Any:
        canvas = self.driver.find_element("css selector", "canvas")
        size = canvas.size
        return actions.move_to_element_with_offset(canvas, round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"]))

    def tab(self, label: str) -> None:
        """Opens a tab of the panel."""
        self._click(f"//*[@role='tab'][@title='{label}' or normalize-space(.)='{label}']")

    def button(self, label: str) -> None:
        """Presses a button of the panel."""
        self._click(f"//button[contains(., '{label}')]")

    def check(self, label: str, on: bool) -> None:
        """Sets a checkbox of the panel, by the label beside it."""
        box = f"//input[@type='checkbox'][@id=//label[normalize-space(.)='{label}']/@for]"
        if self.driver.find_element("xpath", box).is_selected() != on:
            self.driver.execute_script("arguments[0].click()", self.driver.find_element("xpath", box))

    def choose(self, label: str, option: str) -> None:
        """Chooses from a dropdown of the panel, by the label beside it."""
        self._click(f"//input[@id=//label[normalize-space(.)='{label}']/@for]")
        until(f"the option {option}", lambda: self._try_click(f"//*[@role='option'][contains(., '{option}')]"))

    def slide(self, label: str, value: float) -> None:
        """Sets a slider of the panel by the number beside it."""
        row = f"//label[normalize-space(.)='{label}']/ancestor::*[.//input[@type='text' or @type='number']][1]"
        field = f"{row}//input[@type='text' or @type='number']"
        until(f"the slider {label}", lambda: self._try_click(field))
        self._type(self.driver.find_element("xpath", field), str(value))

    def _type(self, field: Any, text: str) -> None:
        from selenium.webdriver.common.keys import Keys

        field.send_keys(Keys.CONTROL + "a")
        field.send_keys(text)
        field.send_keys(Keys.ENTER)

    def unfold(self, label: str) -> None:
        """Opens a folder of the panel."""
        self._click(f"//*[normalize-space(text())='{label}']")

    def _click(self, path: str) -> None:
        until(path, lambda: self._try_click(path))

    def _try_click(self, path: str) -> bool:
        from selenium.common.exceptions import WebDriverException

        for element in self.driver.find_elements("xpath", path):
            if not element.is_displayed():
                continue
            try:
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
                element.click()
            except WebDriverException:  # it moves, or something lies over it still
                return False
            return True
        return False
