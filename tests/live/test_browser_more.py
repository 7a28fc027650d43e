"""What else people do at the chair, in a real browser: painting, fingers, a disk that is full, a server that dies."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
from chromium import Browser, until
from panels import ARROW_LEFT, changed, keep_screenshot, look_at_the_beginning, red_share, selected, splats, steps
from served import Served

pytestmark = pytest.mark.slow


def test_a_brush_selects_what_it_is_dragged_over(browser: Browser) -> None:
    browser.tab("Change")
    browser.choose("Tool", "brush (paint)")
    until("the tool", lambda: "Drag over what you mean" in browser.text)
    browser.click_picture(0.5, 0.6)
    dab = until("a dab", lambda: selected(browser))
    before = browser.still_picture()
    browser.drag_picture([(0.42, 0.5), (0.5, 0.7), (0.58, 0.5)])
    assert until("a stroke", lambda: selected(browser) > 2 * dab)
    assert changed(before, browser.still_picture()) > 0.01, "what is selected glows"
    browser.choose("Tool", "none")
    until("no tool", lambda: "Choose a tool" in browser.text)
    still = browser.still_picture()
    browser.drag_picture([(0.3, 0.3), (0.5, 0.3)])
    assert changed(still, browser.still_picture()) > 0.1, "without a tool dragging turns the view"


def test_a_rectangle_is_dragged(browser: Browser) -> None:
    look_at_the_beginning(browser)
    browser.tab("Change")
    browser.choose("Tool", "rectangle")
    until("the tool", lambda: "Drag a rectangle" in browser.text)
    browser.drag_picture([(0.4, 0.4), (0.6, 0.8)])
    few = until("a selection", lambda: selected(browser))
    browser.button("invert")
    until("all else", lambda: selected(browser) > few)
    browser.button("clear")
    until("nothing", lambda: "Nothing is selected" in browser.text)
    browser.choose("Tool", "none")


def test_fingers_turn_the_view(browser: Browser) -> None:
    look_at_the_beginning(browser)
    before = browser.still_picture()
    browser.swipe([(0.4, 0.4), (0.6, 0.4)])
    assert until("the view to turn", lambda: changed(before, browser.picture()) > 0.1)


def test_a_thing_is_tapped_on_a_phone(browser: Browser, served: Served) -> None:
    look_at_the_beginning(browser)
    browser.tab("Change")
    browser.choose("Tool", "this thing")
    until("the tool", lambda: "Click a thing" in browser.text)
    browser.be_a_phone(True)
    try:
        browser.open(served.address)  # as one that sees what is chosen already
        browser.tab("Change")
        until("the tool", lambda: "Click a thing" in browser.text)
        browser.button("clear")
        until("nothing", lambda: "Nothing is selected" in browser.text)
        browser.unfold("splatmem")  # its title folds the panel, which lies over the picture
        until("the block", lambda: red_share(browser) > 0.01)
        browser.still_picture()
        browser.tap_picture(*browser.middle_of_red())
        time.sleep(2.0)
        keep_screenshot(browser, "phone_tapped")
        browser.unfold("splatmem")
        assert until("a selection", lambda: selected(browser))
        keep_screenshot(browser, "phone_selected")
    finally:
        browser.be_a_phone(False)
    browser.open(served.address)
    browser.tab("Change")
    browser.choose("Tool", "none")


def places(served: Served) -> list[list[float]]:
    """Where the keyframes of the first shot stand, as they are kept on disk."""
    shots = json.loads((served.folder / "storyboard.json").read_text())["shots"]
    return [[row[3] for row in key["pose"][:3]] for key in shots[0]["keys"]]


def test_keyframes_are_dragged_and_reordered(browser: Browser, served: Served) -> None:
    look_at_the_beginning(browser)
    browser.check("By itself", False)
    browser.still_picture()
    browser.tab("Shoot")
    browser.press("k")
    until("a keyframe", lambda: "1 keyframe," in browser.text)
    before = browser.still_picture()

    def aside() -> bool:
        browser.press("d", 0.4)  # again, where a busy page missed it
        return changed(before, browser.still_picture()) > 0.1

    until("a step aside", aside)
    browser.press("k")
    until("a second keyframe", lambda: "2 keyframes" in browser.text)
    browser.press("s", 0.8)
    height, width = browser.still_picture().shape[:2]
    r, g, b = np.moveaxis(browser.picture(), -1, 0)
    rows, columns = np.nonzero((r > 200) & (g > 140) & (g < 200) & (b < 110))  # the chosen keyframe's frustum
    side = rows[columns == columns.max()]
    start = columns.max() / width, np.median(side) / height
    first, second = places(served)
    browser.drag_picture([start, (start[0] - 0.05, start[1] + 0.1)])
    until("the keyframe to move", lambda: places(served)[1] != second)
    moved = places(served)[1]
    assert places(served)[0] == first
    assert moved[0] < second[0], "to the left, as it was dragged"
    assert moved[1] > second[1], "and down"
    assert moved[2] == pytest.approx(second[2], abs=1e-6), "as far away as it was"
    browser.unfold("Keyframes")
    browser.button("earlier")
    until("the other order", lambda: places(served) == [moved, first])


def test_a_full_disk_is_answered_and_breaks_nothing(browser: Browser, served: Served) -> None:
    look_at_the_beginning(browser)
    browser.check("By itself", False)
    browser.tab("Change")
    browser.choose("Tool", "this thing")
    until("the tool", lambda: "Click a thing" in browser.text)
    browser.click_picture(0.5, 0.58)
    until("a selection", lambda: selected(browser))
    before = splats(browser)
    served.process.send_signal(signal.SIGUSR1)
    try:
        browser.tab("Shoot")
        browser.button("Set a keyframe here")
        until("an answer to a keyframe that cannot be kept", lambda: "That did not work" in browser.text)
        assert "1 keyframes" not in browser.text
        browser.tab("Change")
        browser.button("Remove, leave a hole")
        until("an answer to a step that cannot be kept", lambda: "not saved, but kept here" in browser.text)
        count = splats(browser)
        assert count < before
    finally:
        served.process.send_signal(signal.SIGUSR2)
    browser.press("z")
    until("the undoing", lambda: splats(browser) == before)
    browser.press("y")
    until("it once more", lambda: splats(browser) == count)
    until("the end, when it is saved", lambda: "done again" in browser.text)
    served.kill()
    assert steps(served)[-1] == "remove", "what could not be saved was saved with the next step"


def test_a_server_that_dies_in_the_middle_of_a_window_loses_nothing_else(browser: Browser, served: Served) -> None:
    served.kill()
    before = steps(served)
    hold = served.hold()
    served.start()
    browser.open(served.address)
    browser.press(ARROW_LEFT, 0.8)
    until("a window that is announced", lambda: "making what is missing" in browser.text)
    served.kill()
    assert steps(served) == before
    hold.unlink()
    served.start()
    browser.open(served.address)

    def grown() -> bool:
        browser.press(ARROW_LEFT, 0.3)  # a page that has just come may not hear the first ones
        time.sleep(2.0)
        return steps(served)[: len(before) + 1] == [*before, "look"]

    until("the scene to grow by itself", grown)
