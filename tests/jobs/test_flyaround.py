"""The main job as a user runs it, small: with the embedded models."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from plyfile import PlyData
from splatmem import assets
from splatmem.cli import main as cli
from splatmem.explore.loop import ExploreSettings
from splatmem.io.ply import load_ply
from splatmem.io.video import read_video
from splatmem.jobs.flyaround import flyaround
from splatmem.memory.session import load_session
from splatmem.metrics import psnr
from splatmem.report.meanings import MEANINGS

PHOTO = assets.path("photos/interior_table.jpg")
SMALL = {"frames": 24, "size": (128, 72), "settings": ExploreSettings(photo_refine_steps=10, refine_steps=2)}
FILES = ("video.mp4", "contact_sheet.png", "scene.ply", "cameras.json", "report.json", "report.html", "memory/session.json")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    report = flyaround(photo=PHOTO, out=out, **SMALL)
    return out, report


def test_everything_is_written(result):
    out, report = result
    assert all((out / name).is_file() for name in FILES)
    assert not out.with_name("out.partial").exists()
    assert json.loads((out / "report.json").read_text()) == report
    assert read_video(out / "video.mp4").shape == (24, 72, 128, 3)


def test_figures(result):
    _, report = result
    assert report["photo_psnr"] >= 30
    assert report["unknown_fraction"] <= 0.02
    assert report["generated_frames"] <= 12
    assert report["border_depth_step"] <= 0.02
    expected = {"total", "load", "depth", "read", "fill", "write", "refine", "render", "encode"}
    assert expected == set(report["seconds"])


def test_film_shows_the_memory(result):
    out, _ = result
    film = torch.from_numpy(read_video(out / "video.mp4")[0]).float() / 255
    memory, _ = load_session(out / "memory")
    assert psnr(memory.read(memory.views[0].camera).rgb[0], film) > 28


def test_scene_has_the_properties_of_3dgs(result):
    out, report = result
    vertex = PlyData.read(str(out / "scene.ply"))["vertex"]
    assert len(vertex.properties) == 62
    assert len(vertex.data) == report["gaussians"] == len(load_ply(out / "scene.ply"))


def test_report_page_is_self_contained(result):
    page = (result[0] / "report.html").read_text()
    assert "data:image/jpeg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_report_page_shows_the_film_before_it_is_played(result):
    page = (result[0] / "report.html").read_text()
    poster = page.split('poster="data:image/jpeg;base64,')[1].split('"')[0]
    shown = torch.from_numpy(np.array(Image.open(io.BytesIO(base64.b64decode(poster)))))
    assert psnr(shown.float() / 255, torch.from_numpy(read_video(result[0] / "video.mp4")[0]).float() / 255) > 30


def test_meanings_are_those_of_figures_that_a_report_has(result):
    groups = {key: value if isinstance(value, dict) else None for key, value in result[1].items()}
    names = {key if name is None else f"{key}.{name}" for key, group in groups.items() for name in group or [None]}
    assert set(MEANINGS) <= names


def test_resume_with_other_options_is_refused(tmp_path):
    out = tmp_path / "broken"

    def interrupt(stage, share):
        if stage == "making the unseen":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flyaround(None, interrupt, photo=PHOTO, out=out, **SMALL)
    with pytest.raises(ValueError, match="seed = 0"):
        flyaround(photo=PHOTO, out=out, **SMALL, seed=5, resume=True)


def run_cli(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_render_export_inspect(result, tmp_path):
    out, _ = result
    assert run_cli("render", out, "--path", "arc", "--frames", 5, "--out", tmp_path / "v.mp4") == 0
    assert read_video(tmp_path / "v.mp4").shape == (5, 72, 128, 3)
    assert run_cli("export", out, tmp_path / "s.ply", "--compact") == 0
    assert len(PlyData.read(str(tmp_path / "s.ply"))["vertex"].properties) < 62
    assert run_cli("export", out, tmp_path / "s.ply") == 2, "an existing file is not replaced"


def test_second_lap_shows_the_same_frames(result, tmp_path):
    out, _ = result
    assert run_cli("render", out, "--frames", 24, "--out", tmp_path / "lap.mp4") == 0
    assert (tmp_path / "lap.mp4").read_bytes() == (out / "video.mp4").read_bytes()


def test_doctor(capsys):
    assert run_cli("doctor") == 0
    assert "rasterizer on the CPU" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "CMYK", "P"])
def test_unusual_photos_work(tmp_path, mode):
    from splatmem.io.photo import load_photo

    picture = Image.open(PHOTO).resize((160, 90))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    file = tmp_path / ("photo.tif" if mode in ("CMYK", "I;16") else "photo.png")
    picture.save(file)
    rgb = load_photo(file, 64, 36).rgb
    grey = load_photo(PHOTO, 64, 36).rgb.mean(-1)
    assert (rgb.mean(-1) - grey).abs().mean() < 0.06


def test_rotated_photo_is_turned_upright(tmp_path):
    from splatmem.io.photo import load_photo

    picture = Image.open(PHOTO).resize((160, 90))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.rotate(90, expand=True).save(tmp_path / "r.jpg", exif=exif, quality=95)
    assert (load_photo(tmp_path / "r.jpg", 64, 36).rgb - load_photo(PHOTO, 64, 36).rgb).abs().mean() < 0.05
