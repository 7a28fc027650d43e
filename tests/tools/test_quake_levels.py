"""Game levels: a small one made here, read back; scripts of surfaces; cameras in it."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from rooms.labels import CEILING, FLOOR, GROUND, SKY, UNKNOWN, WALL
from rooms.quake_levels import (
    CORNERS,
    ENTITIES,
    FACE,
    FACES,
    HEADER,
    HELD_OUT,
    LIGHT_MAPS,
    LUMPS,
    METRES,
    MODEL,
    MODELS,
    PATCH,
    POLYGON,
    TEXTURE,
    TEXTURES,
    VERTEX,
    VERTICES,
    bend_patch,
    face_labels,
    level_files,
    load_level,
    read_lumps,
    texture_names,
    without_unneeded,
)  # fmt: skip
from rooms.quake_shaders import parse_script, resolve

UNITS = 360
"""Side of the made level, 10 m; it is half as high."""


def quad(corner: tuple, u: tuple, v: tuple, normal: tuple) -> np.ndarray:
    vertices = np.zeros(4, VERTEX)
    corner, u, v = (np.array(x, np.float32) for x in (corner, u, v))
    vertices["position"] = [corner, corner + u, corner + u + v, corner + v]
    vertices["light_uv"] = [(0, 0), (1, 0), (1, 1), (0, 1)]
    vertices["normal"], vertices["colour"] = normal, 128
    return vertices


def made_level(name_of_floor: str = "textures/floor") -> bytes:
    """A box with a floor, two walls, a sky for its ceiling and a start in its middle; Quake's z is up."""
    s, h = UNITS, UNITS / 2
    parts = [
        (quad((0, 0, 0), (s, 0, 0), (0, s, 0), (0, 0, 1)), 0),
        (quad((0, 0, 0), (s, 0, 0), (0, 0, h), (0, 1, 0)), 1),
        (quad((0, s, 0), (s, 0, 0), (0, 0, h), (0, -1, 0)), 1),
        (quad((0, 0, h), (s, 0, 0), (0, s, 0), (0, 0, -1)), 2),
    ]
    faces = np.zeros(len(parts), FACE)
    for index, (_, texture) in enumerate(parts):
        faces[index]["texture"], faces[index]["type"] = texture, POLYGON
        faces[index]["vertex"], faces[index]["vertices"], faces[index]["corners"] = 4 * index, 4, 6
    textures = np.zeros(3, TEXTURE)
    textures["name"] = [name_of_floor.encode(), b"textures/Wall", b"textures/sky"]
    lumps = [b""] * LUMPS
    lumps[ENTITIES] = b'{ "classname" "worldspawn" } { "classname" "info_player_deathmatch" "origin" "180 180 30" }'
    lumps[TEXTURES], lumps[MODELS], lumps[FACES] = textures.tobytes(), np.zeros(1, MODEL).tobytes(), faces.tobytes()
    lumps[VERTICES] = np.concatenate([vertices for vertices, _ in parts]).tobytes()
    lumps[CORNERS] = np.array([0, 1, 2, 0, 2, 3], "<i4").tobytes()
    lumps[LIGHT_MAPS] = np.full(128 * 128 * 3, 100, np.uint8).tobytes()
    lumps[16] = b"what the renderer does not need"
    ends = HEADER.size + 8 * LUMPS + np.cumsum([0, *(len(lump) for lump in lumps)])
    directory = np.array([(start, len(lump)) for start, lump in zip(ends, lumps, strict=False)], "<i4")
    return HEADER.pack(b"IBSP", 46) + directory.tobytes() + b"".join(lumps)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "maps").mkdir()
    for name in ("made", HELD_OUT[0]):
        (tmp_path / f"maps/{name}.bsp.xz").write_bytes(lzma.compress(without_unneeded(made_level(), "made")))
    materials = {"textures/floor": ("solid", None), "textures/wall": ("solid", None), "textures/sky": ("sky", None)}
    (tmp_path / "materials.json").write_text(json.dumps(materials))
    return tmp_path


def test_a_level_is_read_in_metres_with_y_up_and_its_labels(folder: Path) -> None:
    level = load_level(folder / "maps/made.bsp.xz")
    by_label = {surface.mesh.label: surface for surface in level.surfaces}
    assert set(by_label) == {FLOOR, WALL, SKY}
    assert np.abs(by_label[FLOOR].mesh.positions[..., 1]).max() == 0
    np.testing.assert_allclose(by_label[SKY].mesh.positions[..., 1], UNITS / 2 * METRES)
    np.testing.assert_allclose(by_label[FLOOR].mesh.normals, np.broadcast_to([0, 1, 0], (2, 3, 3)))
    assert len(by_label[WALL].mesh) == 4
    assert by_label[FLOOR].light_map == 0
    np.testing.assert_allclose(level.starts, [[180 * METRES, 30 * METRES, -180 * METRES]])


def test_the_split_is_by_name(folder: Path) -> None:
    assert [file.name for file in level_files(folder, held_out=False)] == ["made.bsp.xz"]
    assert [file.name for file in level_files(folder, held_out=True)] == [f"{HELD_OUT[0]}.bsp.xz"]
    with pytest.raises(ValueError, match="fetch_scenes"):
        level_files(folder / "maps", held_out=False)


def test_what_is_not_drawn_is_left_out_and_damage_is_told() -> None:
    data = made_level()
    less = without_unneeded(data, "made")
    assert len(less) == len(data) - len(b"what the renderer does not need")
    assert read_lumps(less, "made")[:16] == read_lumps(data, "made")[:16]
    assert texture_names(less, "made") == ["textures/floor", "textures/wall", "textures/sky"]
    with pytest.raises(ValueError, match="cut off"):
        read_lumps(data[:-40], "made")
    with pytest.raises(ValueError, match="IBSP"):
        read_lumps(b"RIFF" + data[4:], "made")


def test_a_patch_passes_through_its_corners_and_bends_between() -> None:
    x, y = np.meshgrid(np.arange(3.0), np.arange(3.0))
    control = np.stack([x, y, np.where(x == 1, 1.0, 0.0)], axis=-1).reshape(9, 3)
    points = bend_patch(control, 3, 3).reshape(-1, 3)
    for corner in ([0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 2, 0]):
        assert np.abs(points - corner).sum(1).min() < 1e-6
    # On a quadratic Bezier curve over x = 2 t the height is 2 t (1 - t).
    np.testing.assert_allclose(points[:, 2], 2 * points[:, 0] / 2 * (1 - points[:, 0] / 2), atol=1e-6)
    assert PATCH != POLYGON


def test_labels_are_unknown_where_they_are_not_sure() -> None:
    up = np.array([1.0, -1.0, 0.0, 0.5])
    np.testing.assert_array_equal(face_labels(up, "textures/a", "solid", True), [FLOOR, CEILING, WALL, UNKNOWN])
    assert face_labels(up, "textures/grass", "solid", True)[0] == GROUND
    assert (face_labels(up, "textures/a", "solid", False) == UNKNOWN).all()
    assert (face_labels(up, "textures/a", "liquid", True) == UNKNOWN).all()
    assert (face_labels(up, "textures/a", "sky", True) == SKY).all()


def test_scripts_say_what_a_surface_shows() -> None:
    shaders = parse_script(
        """
        textures/Sky // a comment
        { surfaceparm sky
          skyparms env/box - - }
        textures/grate
        { { map $lightmap
            rgbGen identity }
          { map textures/Grate.tga
            blendFunc GL_DST_COLOR GL_ZERO } }
        textures/glow
        { { map textures/glow.tga
            blendFunc add } }
        textures/water
        { surfaceparm water
          qer_editorimage textures/pool.tga }
        """
    )
    files = {"textures/grate.jpg", "textures/pool.tga", "textures/plain.png"}
    assert resolve("textures/sky", shaders, files) == ("sky", None)
    assert resolve("textures/GRATE", shaders, files) == ("solid", "textures/grate.jpg")
    assert resolve("textures/glow", shaders, files) == ("hidden", None)
    assert resolve("textures/water", shaders, files) == ("liquid", "textures/pool.tga")
    assert resolve("textures/plain", shaders, files) == ("solid", "textures/plain.png")
    assert resolve("textures/common/clip", shaders, files) == ("hidden", None)


def test_cameras_stand_on_the_floor(folder: Path) -> None:
    pytest.importorskip("embreex")
    from rooms.level_views import EYE_HEIGHTS, random_view
    from rooms.tracing import Tracer

    level = load_level(folder / "maps/made.bsp.xz")
    tracer = Tracer([surface.mesh for surface in level.surfaces])
    rng = np.random.default_rng(0)
    views = [view for view in (random_view(rng, tracer, level.starts, 4 / 3) for _ in range(200)) if view is not None]
    assert len(views) > 10
    for view in views:
        _, y, z = view.cam_to_world[:3, 3]
        assert EYE_HEIGHTS[0] <= y <= EYE_HEIGHTS[1]
        assert 0 < -z < UNITS * METRES
        np.testing.assert_allclose(view.cam_to_world[:3, :3] @ view.cam_to_world[:3, :3].T, np.eye(3), atol=1e-9)
