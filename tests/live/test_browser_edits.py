"""Every edit of the director's chair, in a real browser."""

from __future__ import annotations

import json

import pytest
from chromium import Browser, until
from panels import changed, look_at_the_beginning, red_share, selected, splats, steps
from served import Served

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def as_it_began(browser: Browser) -> None:
    """Each test begins at the first view of the whole scene, with nothing selected and no tool in hand."""
    look_at_the_beginning(browser)
    browser.check("By itself", False)
    browser.tab("Change")
    browser.choose("Tool", "none")
    browser.button("clear")
    until("nothing", lambda: "Nothing is selected" in browser.text)


def click_the_block(browser: Browser) -> None:
    browser.choose("Tool", "this thing")
    until("the tool", lambda: "Click a thing" in browser.text)
    browser.click_picture(0.5, 0.58)
    until("the block to be selected", lambda: selected(browser))


def ended(browser: Browser, served: Served, operation: str) -> None:
    """Waits until a step is kept on disk."""
    until(f"the step {operation}", lambda: steps(served)[-1] == operation)
    until("the end", lambda: "Ready" in browser.text)


def undo(browser: Browser, served: Served, operation: str) -> None:
    browser.press("z")
    until(f"the undoing of {operation}", lambda: steps(served)[-1] != operation)


@pytest.mark.parametrize(("tool", "hint"), [("box", "Drag the box"), ("sphere", "Drag the ball")])
def test_what_lies_in_a_shape_is_selected(browser: Browser, tool: str, hint: str) -> None:
    browser.choose("Tool", tool)
    until("the tool", lambda: hint in browser.text)
    browser.button("Take what is in it")
    few = until("a selection", lambda: selected(browser))
    if tool == "sphere":
        browser.slide("Size", 0.6)
        browser.button("Take what is in it")
        until("a larger one", lambda: selected(browser) > few)


def test_a_copy_stands_beside_the_thing(browser: Browser, served: Served) -> None:
    before, red = splats(browser), red_share(browser)
    browser.tab("Change")
    click_the_block(browser)
    few = selected(browser)
    browser.unfold("Move or copy")
    browser.slide("Size of it", 2.0)
    browser.button("Put a copy there")
    ended(browser, served, "duplicate")
    assert splats(browser) == before + few
    until("a larger block", lambda: red_share(browser) > 1.5 * red)
    undo(browser, served, "duplicate")


def test_a_thing_is_dragged_by_its_arrows_and_moved(browser: Browser, served: Served) -> None:
    before = browser.still_picture()
    click_the_block(browser)
    browser.choose("Tool", "none")
    browser.check("Arrows to drag it by", True)
    middle = browser.middle_of_red()
    browser.drag_picture([(middle[0] + 0.06, middle[1]), (middle[0] + 0.25, middle[1])])
    browser.button("Move it there")
    ended(browser, served, "move")
    after = browser.still_picture()
    assert browser.middle_of_red()[0] > middle[0] + 0.05
    assert changed(before, after) > 0.05
    undo(browser, served, "move")


def test_a_thing_is_coloured(browser: Browser, served: Served) -> None:
    red = red_share(browser)
    click_the_block(browser)
    browser.unfold("Colour")
    browser.slide("Saturation", 0)
    browser.button("Colour it")
    ended(browser, served, "recolour")
    until("a grey block", lambda: red_share(browser) < 0.2 * red)
    undo(browser, served, "recolour")
    until("the red one", lambda: red_share(browser) > 0.8 * red)


def test_a_thing_is_kept_alone(browser: Browser, served: Served) -> None:
    click_the_block(browser)
    few = selected(browser)
    browser.button("Keep this alone")
    ended(browser, served, "crop")
    assert splats(browser) == few
    undo(browser, served, "crop")


def test_a_keyframe_is_dragged(browser: Browser, served: Served) -> None:
    browser.tab("Shoot")
    browser.button("Set a keyframe here")
    until("a keyframe", lambda: "1 keyframes" in browser.text)
    file = served.folder / "storyboard.json"
    before = json.loads(file.read_text())
    browser.press("s", 0.6)  # a step back: the frustum and its arrows come into sight
    browser.drag_picture([(0.5, 0.5), (0.62, 0.5)])
    until("the keyframe at another place", lambda: json.loads(file.read_text()) != before)
