"""What is read off the director's chair: its picture, and what its panels say."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from chromium import Browser, until
from PIL import Image
from served import Served
from splatmem.scene import Scene

ARROW_LEFT, ARROW_RIGHT = "\ue012", "\ue014"


def red_share(browser: Browser) -> float:
    """Share of the canvas that shows the red block."""
    r, g, b = np.moveaxis(browser.picture(), -1, 0)
    return float(((r > 120) & (g < 70) & (b < 70)).mean())


def changed(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the pixels that are clearly others."""
    return float((np.abs(one - other).max(axis=-1) > 24).mean())


def splats(browser: Browser) -> int:
    """How many splats the panel of the scene tells."""
    browser.tab("Scene")
    line = until("the count", lambda: [line for line in browser.text.splitlines() if " splats, " in line])
    return int(line[0].split(" splats")[0].replace(",", ""))


def settled_splats(browser: Browser) -> int:
    """How many splats there are when nothing is being made any more: what is looked at may still be filled after a change."""
    count, same = -1, 0
    while same < 3:
        time.sleep(1.5)
        now = splats(browser)
        same = same + 1 if now == count and "Ready" in browser.text else 0
        count = now
    return count


def selected(browser: Browser) -> int:
    """How many splats the panel says are selected; 0 if none."""
    lines = [line for line in browser.text.splitlines() if " splats are selected." in line]
    return int(lines[0].split(" ")[0].replace(",", "")) if lines else 0


def steps(served: Served) -> list[str]:
    """What was done to the scene, as it is kept on disk."""
    return [step.operation for step in Scene.open(served.folder, device="cpu").history]


def look_at_the_beginning(browser: Browser) -> None:
    """As the scene was seen first."""
    browser.tab("Look")
    browser.button("Back to the beginning")


def keep_screenshot(browser: Browser, name: str) -> None:
    """Writes what the window shows into the folder that SPLATMEM_SCREENSHOTS names, if it names one."""
    if folder := os.environ.get("SPLATMEM_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Image.open(browser.screenshot()).save(Path(folder) / f"{name}.png")
