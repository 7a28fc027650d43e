"""Each command that takes a scene takes a file of splats of each format, as the file of another program would come.

What the formats hold, and each command with a file of one format, is tested elsewhere among the ordinary tests.
"""

from __future__ import annotations

import http.client
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import splatmem as sm
from PIL import Image
from splatmem.io.splats.endings import READABLE
from splatmem.io.video import read_video
from splatmem.live import application
from splatmem.live.application import exploring
from splatmem.live.options import LiveOptions

from forked_commands import ForkedCommands

FIRST_VIEW = ("--size", "96x64", "--fov", 60)
pytestmark = pytest.mark.slow
NO_USD = importlib.util.find_spec("pxr") is None


@pytest.fixture(scope="module", params=READABLE)
def file(
    request: pytest.FixtureRequest, splatmem: ForkedCommands, small_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The small run's scene in a format."""
    if request.param in (".usdc", ".usdz") and NO_USD:
        pytest.skip("needs usd-core")
    made = tmp_path_factory.mktemp("formats") / f"a scene{request.param}"
    ended = splatmem("export", small_run, made)
    assert ended.status == 0, ended.err
    return made


def test_inspect(splatmem: ForkedCommands, file: Path, tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    ended = splatmem("inspect", file, "--screenshot", tmp_path / "p.png")
    assert ended.status == 0, ended.err
    with Image.open(tmp_path / "p.png") as picture:
        shown = np.asarray(picture.convert("L"), np.float32)
    assert np.ptp(shown) > 50, "something is drawn"


def test_render(splatmem: ForkedCommands, small_run: Path, file: Path, tmp_path: Path) -> None:
    ended = splatmem("render", file, "--out", tmp_path / "v.mp4", "--path", "arc", "--frames", 2, *FIRST_VIEW)
    assert ended.status == 0, ended.err
    frame, own = (np.asarray(read_video(folder)[0], np.float32) for folder in (tmp_path / "v.mp4", small_run / "video.mp4"))
    likeness = [np.abs(frame - own[::down, ::right]).mean() for down in (1, -1) for right in (1, -1)]
    assert min(likeness) == likeness[0], "upright and not mirrored"
    assert likeness[0] < 12, "levels of 255: the photo"


def test_extend(splatmem: ForkedCommands, file: Path, tmp_path: Path) -> None:
    ended = splatmem("extend", file, "--out", tmp_path / "s", "--path", "arc", "--frames", 3)
    assert ended.status == 0, ended.err
    assert len(sm.Scene.open(tmp_path / "s").memory.gaussians) >= len(sm.load_splats(file))


def test_explore(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "get_ready", lambda scene, announce: None)
    with exploring(LiveOptions(source=file, out=tmp_path / "s", port=0, size=(96, 64), preset="push-pull")) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.server.get_port(), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    assert len(sm.Scene.open(tmp_path / "s").memory.gaussians) == len(sm.load_splats(file))
