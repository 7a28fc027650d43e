"""Panoramas as sources: what is one, and the views that are cut out of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from splatmem.io.panorama import panorama_cameras
from splatmem.io.source import read_source
from torch import Tensor

from panoramas import colours_of, directions, room_panorama

GPANO = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {}/></rdf:RDF></x:xmpmeta>"""
SIZE = (128, 72)


def saved(rgb: Tensor, file: Path, **options) -> Path:
    Image.fromarray((rgb * 255).round().to(torch.uint8).numpy()).save(file, **options)
    return file


@pytest.mark.parametrize("size", [(128, 72), (96, 96), (72, 128), (160, 68)])
def test_the_views_cover_the_sphere(size: tuple[int, int]) -> None:
    cameras = panorama_cameras(*size, 75.0)
    rays = directions(360).reshape(-1, 3)
    pixels, depth = cameras.project(rays)
    inside = (depth > 0) & (pixels >= 0).all(-1) & (pixels < torch.tensor(size)).all(-1)
    assert len(cameras) <= 16 or size[0] < size[1]
    weight = (1 - rays[:, 1] ** 2).sqrt()
    assert ((inside.any(0) * weight).sum() / weight.sum()) > 0.99
    assert torch.equal(cameras.centers, torch.zeros(len(cameras), 3))


def test_views_show_what_lies_in_their_directions(tmp_path: Path) -> None:
    file = saved(colours_of(directions(1024)), tmp_path / "pano.png")
    source = read_source(file, None, *SIZE, None)
    assert source.cameras is not None
    assert source.usable is None
    assert source.one_picture
    assert source.cameras.fov_x_degrees == pytest.approx(75, abs=1e-3)
    assert (source.rgb - colours_of(source.cameras.world_rays())).abs().max() < 0.02
    assert "was taken for an equirectangular panorama: it is 2:1, its sides meet" in source.notes[0]


def test_a_part_of_a_panorama_is_a_part(tmp_path: Path) -> None:
    """Phones leave out the poles, and say so."""
    whole = colours_of(directions(800))
    stated = 'GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="800" GPano:FullPanoHeightPixels="400"'
    stated += ' GPano:CroppedAreaImageWidthPixels="800" GPano:CroppedAreaImageHeightPixels="160"'
    stated += ' GPano:CroppedAreaLeftPixels="0" GPano:CroppedAreaTopPixels="120"'
    file = saved(whole[120:280], tmp_path / "pano.jpg", quality=98, subsampling=0, xmp=GPANO.format(stated).encode())
    source = read_source(file, None, *SIZE, None)
    assert source.cameras is not None
    assert source.usable is not None
    truth = colours_of(source.cameras.world_rays())
    assert (source.rgb - truth)[source.usable].abs().max() < 0.05
    down = torch.nn.functional.normalize(source.cameras.world_rays(), dim=-1)[..., 1].abs()
    assert down[source.usable].max() < torch.sin(torch.deg2rad(torch.tensor(36.5)))
    assert "as its GPano data say" in source.notes[0]


@pytest.mark.parametrize("size", [800, 3200])
def test_the_first_view_looks_where_the_file_says(tmp_path: Path, size: int) -> None:
    """Headings are measured from north: the picture's middle lies at 200 degrees, the first view at 290."""
    stated = 'GPano:ProjectionType="equirectangular" GPano:PoseHeadingDegrees="200" GPano:InitialViewHeadingDegrees="290"'
    file = saved(
        colours_of(directions(size)), tmp_path / "pano.jpg", quality=98, subsampling=0, xmp=GPANO.format(stated).encode()
    )
    source = read_source(file, None, *SIZE, None)
    assert source.cameras is not None
    right, down, ahead = source.cameras.world_rays().unbind(-1)
    turned = torch.stack([ahead, down, -right], dim=-1)  # by 90 degrees to the right
    assert (source.rgb - colours_of(turned)).abs().max() < 0.05


@pytest.mark.parametrize("kind", ["crop", "white frame", "one colour", "GPano of another kind"])
def test_other_pictures_of_two_to_one_are_photos(tmp_path: Path, kind: str) -> None:
    picture = room_panorama(512)[60:130, 50:190]
    options = {}
    if kind == "white frame":
        picture = picture.clone()
        picture[:8] = picture[-8:] = picture[:, :8] = picture[:, -8:] = 1
    if kind == "one colour":
        picture = torch.full_like(picture, 0.5)
    if kind == "GPano of another kind":
        options["xmp"] = GPANO.format('GPano:ProjectionType="cylindrical"').encode()
    source = read_source(saved(picture, tmp_path / "a.jpg", **options), None, *SIZE, None)
    assert source.cameras is None
    assert source.notes == [
        "a.jpg is 2:1, but no equirectangular panorama: its sides do not meet; it was taken as an ordinary photo"
    ]


def test_a_room_s_panorama_is_recognised_without_any_data(tmp_path: Path) -> None:
    source = read_source(saved(room_panorama(1024), tmp_path / "a.jpg", quality=90), None, *SIZE, 60.0)
    assert source.cameras is not None
    assert source.cameras.fov_x_degrees == pytest.approx(60, abs=1e-3)


def test_damaged_gpano_data_do_no_harm(tmp_path: Path) -> None:
    rgb = colours_of(directions(256))[:, :100]
    for stated in ('GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="....."', 'GPano:ProjectionType="'):
        file = saved(rgb, tmp_path / "a.jpg", xmp=GPANO.format(stated).encode())
        read_source(file, None, *SIZE, None)


def test_large_panoramas_are_reduced_before_they_are_sampled(tmp_path: Path) -> None:
    checks = torch.from_numpy((np.indices((1000, 2000)).sum(0) % 2).astype(np.float32))[..., None].expand(-1, -1, 3)
    stated = 'GPano:ProjectionType="equirectangular"'
    file = saved(checks, tmp_path / "a.png", pnginfo=None)
    file = saved(checks, tmp_path / "a.jpg", quality=95, xmp=GPANO.format(stated).encode())
    source = read_source(file, None, *SIZE, None)
    assert (source.rgb[0] - 0.5).abs().mean() < 0.1
