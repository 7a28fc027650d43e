"""Each example runs, small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import splatmem as sm
from splatmem import assets
from splatmem.io.video import read_video

import many_photos
import own_depth
import own_inpainter
import the_loop

PHOTO = assets.path("photos/interior_table.jpg")
NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


def test_an_own_inpainter_fills_the_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_inpainter.main(str(PHOTO), str(tmp_path / "out"), frames=5, size=(128, 72))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["inpainter"] == "telea"
    assert report["generated_frames"] > 0
    assert "filled by telea" in capsys.readouterr().out


def test_an_own_depth_estimator_lifts_the_photo(tmp_path: Path) -> None:
    own_depth.main(str(PHOTO), str(tmp_path / "room"), size=(128, 72))
    scene = sm.Scene.open(tmp_path / "room")
    assert len(scene.memory.views) == 1


def test_the_loop_written_out_closes_the_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    the_loop.main(str(PHOTO), str(tmp_path / "turn.mp4"), frames=10, width=128)
    assert read_video(tmp_path / "turn.mp4").shape == (10, 72, 128, 3)
    assert "filled" in capsys.readouterr().out


def test_many_photos_with_one_that_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    many_photos.main((broken, PHOTO), tmp_path / "out", frames=4, size=(96, 64))
    assert (tmp_path / "out" / PHOTO.stem / "video.mp4").is_file()
    assert "broken.jpg" in capsys.readouterr().out


def test_the_notebook_runs_and_shows_its_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    small = code[0].replace('"assets/photos/interior_table.jpg", (512, 288), 48', f'"{PHOTO}", (128, 72), 8')
    assert small != code[0]
    shown = []
    for cell in [small, *code[1:]]:
        *before, last = cell.splitlines()
        exec("\n".join(before), names)
        shown.append(eval(last, names))
    film, reading = shown[-2:]
    assert "<video" in film._repr_html_()
    assert reading._repr_png_().startswith(b"\x89PNG")
