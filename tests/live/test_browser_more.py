"""What else people do at the chair, in a real browser: painting, fingers, a disk that is full, a server that dies."""

from __future__ import annotations

import signal
import time

import pytest
from chromium import Browser, until
from panels import ARROW_LEFT, changed, look_at_the_beginning, selected, splats, steps
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
