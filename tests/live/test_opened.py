"""From what a user names to a scene in its folder."""

from __future__ import annotations

import http.client
import shutil
from pathlib import Path

import pytest
from splatmem.io.ply import save_ply
from splatmem.live import application as application_module
from splatmem.live.application import exploring, opened
from splatmem.live.options import LiveOptions
from thing_before_wall import memory

SMALL = {"size": (96, 64), "preset": "push-pull"}


@pytest.fixture(scope="module")
def splats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .ply from elsewhere, for which no depth is estimated."""
    file = tmp_path_factory.mktemp("splats") / "wall.ply"
    save_ply(memory().gaussians, file)
    return file


@pytest.fixture(scope="module")
def folder(splats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("scenes") / "wall"
    opened(LiveOptions(source=splats, out=made, **SMALL))
    return made


def test_a_scene_that_is_there_is_gone_on_with(splats: Path, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    scene = opened(LiveOptions(source=kept))
    scene.remark("a note of mine")
    scene.save()
    assert "a note of mine" in opened(LiveOptions(source=splats, out=kept, **SMALL)).notes
    other = splats.with_name("other.ply")
    shutil.copy(splats, other)
    with pytest.raises(ValueError, match="holds a scene made from"):
        opened(LiveOptions(source=other, out=kept, **SMALL))


def test_one_explores_a_folder_at_a_time_and_beyond_localhost_with_a_token(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application_module, "get_ready", lambda scene, announce: None)
    with exploring(LiveOptions(source=folder, host="0.0.0.0", port=0)) as application:
        assert "/?token=" in application.address
        port = application.server.get_port()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 403
        with pytest.raises(ValueError, match="wait until it ends"), exploring(LiveOptions(source=folder, port=0)):
            pass


def test_a_folder_is_changed_in_place(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="changed in place"):
        LiveOptions(source=folder, out=tmp_path / "elsewhere").check()


@pytest.mark.parametrize(("field", "value"), [("port", 70000), ("host", "a b"), ("host", ""), ("preset", "embeded")])
def test_options_that_cannot_be_used(folder: Path, field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        LiveOptions(source=folder, **{field: value}).check()  # type: ignore[arg-type]
