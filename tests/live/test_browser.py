"""The director's chair in a real browser, from the first look to a film. More of it, among the slow tests:
``test_browser_edits.py`` and ``test_browser_more.py``."""

from __future__ import annotations

from chromium import Browser, until
from panels import ARROW_LEFT, ARROW_RIGHT, changed, look_at_the_beginning, red_share, settled_splats, splats
from served import Served


def test_splats_appear(browser: Browser) -> None:
    assert until("the block", lambda: red_share(browser) > 0.05)


def test_the_scene_grows_where_one_looks_and_undo_brings_back_what_was(browser: Browser) -> None:
    before, red = splats(browser), until("the block", lambda: red_share(browser))
    browser.tab("Look")
    browser.check("By itself", False)

    def turned() -> bool:
        browser.press(ARROW_LEFT, 0.5)  # again, where a busy page missed it
        return abs(red_share(browser) - red) > 0.01

    assert until("the camera to turn", turned)
    lacking = browser.still_picture()
    browser.check("By itself", True)
    browser.press("g")
    assert until("a window", lambda: splats(browser) > before)
    until("the end", lambda: "Ready" in browser.text)
    assert changed(lacking, browser.still_picture()) > 0.1, "what was unknown is shown"
    while splats(browser) > before:
        count = splats(browser)
        browser.button("Undo")
        until("the undoing", lambda count=count: splats(browser) < count)
    assert splats(browser) == before
    assert changed(lacking, browser.still_picture()) < 0.01, "the picture is what it was"


def test_the_films_view_shows_the_same(browser: Browser) -> None:
    look_at_the_beginning(browser)
    assert until("the block", lambda: red_share(browser) > 0.05)
    browser.press("f")
    until("the film's view", lambda: browser.picture()[1].mean() < 40 and red_share(browser) > 0.03)  # bars above the frame
    browser.press("f")


def test_a_path_is_recorded_played_and_filmed(browser: Browser, served: Served) -> None:
    browser.tab("Shoot")
    browser.button("Set a keyframe here")
    until("a keyframe", lambda: "1 keyframe," in browser.text)
    browser.button("Play")
    until("an answer to a path with one keyframe", lambda: "a path needs two keyframes" in browser.text)
    browser.press(ARROW_RIGHT, 0.3)
    browser.press("k")
    until("a second keyframe", lambda: "2 keyframes" in browser.text)
    browser.button("Film it")
    film = served.folder / "films" / "film_001.mp4"
    until("the film", film.is_file)
    assert film.stat().st_size > 1000
    until("the end", lambda: "Ready" in browser.text)


def test_a_clicked_thing_is_selected_and_removed(browser: Browser) -> None:
    look_at_the_beginning(browser)
    before = until("the block", lambda: red_share(browser))
    browser.tab("Change")
    browser.button("Remove, and go on behind it")
    until("an answer to an empty selection", lambda: "nothing is selected" in browser.text)
    browser.choose("Tool", "this thing")
    until("the tool", lambda: "Click a thing" in browser.text)
    browser.click_picture(0.5, 0.58)
    until("a selection", lambda: "splats are selected" in browser.text)
    browser.button("Remove, and go on behind it")
    assert until("the block to go", lambda: red_share(browser) < 0.2 * before)
    until("the end", lambda: "Ready" in browser.text)


def test_what_was_done_outlives_the_server_and_is_seen_by_a_second_browser(browser: Browser, served: Served) -> None:
    count = settled_splats(browser)
    served.kill()
    served.start()
    browser.new_tab(served.address)
    assert splats(browser) == count
    browser.tab("Shoot")
    until("the keyframes", lambda: "2 keyframes" in browser.text)
    browser.tab("Scene")
    browser.button("Undo")
    until("the block to come back", lambda: "undone: remove" in browser.text)
    browser.tab("Look")
    assert until("the block", lambda: red_share(browser) > 0.03)
