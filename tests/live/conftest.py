"""The scene of the edit tests, a red block before a striped wall; for tests in a real browser a server and a window of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "edit"))

from chromium import Browser, until, why_not
from panels import keep_screenshot, red_share
from served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in a process of its own, of a scene of its own for each file of tests."""
    if reason := why_not():
        pytest.skip(reason)
    server = Served(tmp_path_factory.mktemp("live") / "scene")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A window of it, in which the scene has appeared."""
    window = Browser(tmp_path_factory.mktemp("profile"))
    window.open(served.address)
    until("the block", lambda: red_share(window) > 0.05)
    yield window
    window.quit()


@pytest.fixture(autouse=True)
def screenshot_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keeps what a test in a browser came to, for people to look at."""
    window = request.getfixturevalue("browser") if "browser" in request.fixturenames else None
    yield
    if window is not None:
        keep_screenshot(window, request.node.name)
