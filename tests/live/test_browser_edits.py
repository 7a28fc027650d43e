"""Edits at the director's chair, in a real browser: shapes, copies, moves, colours, cropping."""

from __future__ import annotations

import pytest
from chromium import Browser, until
from panels import look_at_the_beginning, red_share, selected, splats, steps
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


@pytest.mark.parametrize(("tool", "hint"), [("box", "Drag the box"), ("ball", "Drag the ball")])
def test_what_lies_in_a_shape_is_selected(browser: Browser, tool: str, hint: str) -> None:
    browser.choose("Tool", tool)
    until("the tool", lambda: hint in browser.text)
    browser.button("Take what is in it")
    few = until("a selection", lambda: selected(browser))
    if tool == "ball":
        browser.slide("Size", 0.6)
        browser.button("Take what is in it")
        until("a larger one", lambda: selected(browser) > few)


def test_a_copy_stands_beside_the_thing(browser: Browser, served: Served) -> None:
    before, red = splats(browser), red_share(browser)
    browser.tab("Change")
    click_the_block(browser)
    few = selected(browser)
    browser.unfold("Move or copy")  # and it stays so
    browser.slide("Size of it", 2.0)
    browser.button("Put a copy there")
    ended(browser, served, "duplicate")
    assert splats(browser) == before + few
    until("a larger block", lambda: red_share(browser) > 1.5 * red)
    undo(browser, served, "duplicate")


def test_a_thing_is_made_smaller_where_it_stands(browser: Browser, served: Served) -> None:
    red = red_share(browser)
    click_the_block(browser)
    browser.slide("Size of it", 1.0)
    browser.button("Move it there")
    until("an answer to a move that changes nothing", lambda: "nothing would change" in browser.text)
    browser.slide("Size of it", 0.5)
    browser.button("Move it there")
    ended(browser, served, "move")
    until("a smaller block", lambda: 0.05 * red < red_share(browser) < 0.6 * red)
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
