"""Solids, figures, things and places that the depth model's training scenes are made of: no GPU, no EGL, nothing downloaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import render_frames
from rooms.figures import Looks, animal, hand, mirrored, person
from rooms.furniture import Catalogue
from rooms.labels import BUILDING, CEILING, FLOOR, GROUND, SKY, THING, VEGETATION, WALL
from rooms.meshes import Material, Mesh, face_normals
from rooms.near_things import SETUPS, View, random_pose
from rooms.open_air import Terrain, random_open_air
from rooms.outdoor_things import columns, litter, tower, trunk, water
from rooms.renderer import Rendering
from rooms.shapes import ball, box, capsule, random_rotation, revolved, ring, rotation_about
from rooms.stairs import random_stairwell
from rooms.things import FLOOR_THINGS, HELD_THINGS, TABLE_THINGS, footprint

PAINT = Material((0.5, 0.5, 0.5))


def volume(mesh: Mesh) -> float:
    """Of a closed surface, by the divergence theorem; positive if its triangles face outwards."""
    p = mesh.positions.astype(np.float64)
    return float((p[:, 0] * np.cross(p[:, 1], p[:, 2])).sum() / 6)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (ball(PAINT, (0.3, 1.0, -2.0), (0.1, 0.2, 0.3), 40), 4 / 3 * np.pi * 0.006),
        (box(PAINT, (1.0, 2.0, 3.0), (0.2, 0.3, 0.4), random_rotation(np.random.default_rng(0)), cells=3), 0.024),
        (capsule(PAINT, (0, 0, 0), (0.3, 0.4, 0.0), 0.1, segments=48), np.pi * 0.01 * (0.5 + 4 / 3 * 0.1)),
        (ring(PAINT, 0.5, 0.1, 96), 2 * np.pi**2 * 0.5 * 0.01),
        (revolved(PAINT, np.array([(0, 0), (0.2, 0), (0.2, 1), (0, 1)]), 64), np.pi * 0.04),
    ],
)
def test_solids_are_closed_and_face_outwards(mesh: Mesh, expected: float) -> None:
    assert volume(mesh) == pytest.approx(expected, rel=0.12)
    together = (face_normals(mesh.positions)[:, None] * mesh.normals).sum(-1)
    assert (together > 0).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1.0, atol=1e-3)


def test_normals_of_a_ball_are_radial() -> None:
    mesh = ball(PAINT, (0, 0, 0), (1, 1, 1), 32)
    assert ((mesh.positions * mesh.normals).sum(-1) > 0.97).mean() > 0.95


def test_a_hand_has_the_size_of_a_hand_and_its_mirror_image_is_no_inside_out_one() -> None:
    rng = np.random.default_rng(0)
    left = hand(rng, Looks.random(rng), curl=0.0, spread=0.1, arm=0.28)
    low, high = footprint(left)
    assert 0.15 < high[1] < 0.22
    assert -0.37 < low[1] < -0.25
    right = mirrored(left)
    np.testing.assert_allclose(footprint(right)[1][0], -low[0], atol=1e-6)
    assert volume(right[0]) == pytest.approx(volume(left[0]), rel=1e-4)


def test_fingers_curl_towards_the_palm() -> None:
    looks = Looks.random(np.random.default_rng(0))
    straight, fist = (footprint(hand(np.random.default_rng(1), looks, curl, 0.0)) for curl in (0.0, 0.9))
    assert fist[1][2] > straight[1][2] + 0.02
    assert fist[1][1] < straight[1][1] - 0.02


@pytest.mark.parametrize("seed", range(5))
def test_figures_stand_on_the_floor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = footprint(person(rng, Looks.random(rng), sitting=seed % 2 == 0))
    assert low[1] == pytest.approx(0.0, abs=1e-5)
    assert 0.5 < high[1] < 2.1
    assert footprint(animal(rng, PAINT, PAINT))[0][1] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("maker", sorted({*TABLE_THINGS, *FLOOR_THINGS, *HELD_THINGS}, key=lambda maker: maker.__name__))
def test_things_have_sensible_sizes(maker) -> None:
    for seed in range(6):
        low, high = footprint(maker(np.random.default_rng(seed), ()))
        assert -0.06 < low[1] < 0.2
        assert 0.008 <= (high - low).max() < 2.2
        assert np.isfinite([low, high]).all()


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_near_things_are_before_the_camera(setup) -> None:
    """Of five cameras most see some of what is set before them."""
    seen = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pose = random_pose(rng, 5.0, 4.0, setup.heights, setup.elevations)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
        assert setup.heights[0] <= pose[1, 3] <= setup.heights[1]
        view = View(pose, 75.0, lambda directions: np.full(len(directions), 3.0))
        meshes = setup.make(rng, view, (), Catalogue([]))
        if setup.name == "nothing":
            assert meshes == []
            continue
        points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in meshes]) if meshes else np.zeros((0, 3))
        assert np.isfinite(points).all()
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        ahead = local[local[:, 2] < -0.1]
        seen += bool((np.abs(ahead[:, :2] / ahead[:, 2:]) < 0.75).all(1).sum() > 20)
    assert seen >= 3 or setup.name == "nothing"


def test_a_camera_that_looks_down_looks_down() -> None:
    rng = np.random.default_rng(0)
    pose = random_pose(rng, 5.0, 4.0, (1.5, 1.5), (-0.5, -0.5))
    assert -pose[1, 2] == pytest.approx(np.sin(-0.5), abs=1e-6)
    view = View(pose, 70.0, lambda directions: np.full(len(directions), 3.0))
    ahead = view.ahead(0.0, 1.0) - view.eye
    assert ahead[1] == pytest.approx(0.0, abs=1e-9)
    assert ahead @ -pose[:3, 2] == pytest.approx(np.cos(0.5), abs=1e-6)
    assert view.reach(0.0, 6.0) == pytest.approx(2.75)


@pytest.mark.parametrize("seed", range(4))
def test_stairwells(seed: int) -> None:
    meshes, lamps, poses = random_stairwell(np.random.default_rng(seed), (), 12)
    low, high = footprint(meshes)
    assert len(lamps) == 2
    assert len(poses) == 12
    for mesh in meshes:
        up = mesh.normals[..., 1].mean()
        if mesh.shell and abs(up) > 0.5:
            assert mesh.label == (FLOOR if up > 0 else CEILING)
    assert {FLOOR, CEILING, WALL, THING} <= {mesh.label for mesh in meshes}
    for pose in poses:
        assert (pose[:3, 3] > low).all()
        assert (pose[:3, 3] < high).all()


@pytest.mark.parametrize("seed", range(3))
def test_places_under_the_open_sky(seed: int) -> None:
    scene = random_open_air(np.random.default_rng(seed), (), 4)
    assert scene.sky.shape == (256, 512, 3)
    for mesh in scene.meshes:
        assert np.isfinite(mesh.positions).all()
        assert np.isfinite(mesh.normals).all()
    assert {mesh.label for mesh in scene.meshes} <= {GROUND, VEGETATION, BUILDING, THING}
    ground = scene.meshes[0]
    assert ground.label == GROUND
    assert ground.normals[..., 1].mean() > 0.8
    assert np.linalg.norm(scene.sun[0]) == pytest.approx(1.0)
    light = scene.radiance(np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]))
    np.testing.assert_allclose(light, [scene.zenith, scene.ground])


@pytest.mark.parametrize("maker", [trunk, tower, columns, litter])
@pytest.mark.parametrize("seed", range(3))
def test_outdoor_things_stand_in_the_ground(maker: Callable[..., list[Mesh]], seed: int) -> None:
    meshes = maker(np.random.default_rng(seed), ())
    low, high = footprint(meshes)
    assert -1.0 <= low[1] <= 0.0 < high[1]
    for mesh in meshes:
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1.0, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_water_is_level_and_faces_the_sky(seed: int) -> None:
    surface = water(np.random.default_rng(seed), (), -0.5, 200.0)[0]
    np.testing.assert_allclose(surface.positions[..., 1], -0.5, atol=1e-5)
    assert surface.normals[..., 1].min() > 0.99
    assert surface.label == GROUND


def test_terrain_is_what_it_says() -> None:
    terrain = Terrain(np.random.default_rng(3))
    x, z = np.array([1.0, -4.0]), np.array([2.0, 7.0])
    np.testing.assert_allclose(terrain(x, z), [terrain.at(1.0, 2.0), terrain.at(-4.0, 7.0)])


def test_light_falls_from_where_it_comes_and_things_shade_themselves() -> None:
    pytest.importorskip("embreex", reason="needs embreex, of the extras 'dev' and 'train'")
    from rooms.glow import light_things

    board = box(PAINT, (0, 1, 0), (1, 0.02, 1), cells=4)
    below = box(PAINT, (0, 0, 0), (0.2, 0.2, 0.2), cells=4)
    above = np.array([0.0, 1.0, 0.0])
    nowhere = np.zeros_like
    light = light_things(np.random.default_rng(0), [board, below], nowhere, [(above, np.ones(3))])
    top = board.normals[:, 0, 1] > 0.9
    assert light.corners[0][top].mean() > 0.2
    assert light.corners[1][below.normals[:, 0, 1] > 0.9].mean() < 0.1 * light.corners[0][top].mean()


def test_frames_that_teach_nothing_are_left_out() -> None:
    depth = np.linspace(1.0, 4.0, 48 * 64).reshape(48, 64).astype(np.float32)
    assert render_frames.is_worth_learning(depth)
    assert not render_frames.is_worth_learning(np.full_like(depth, 2.0))
    assert not render_frames.is_worth_learning(np.zeros_like(depth))
    touching = depth.copy()
    touching[:10] = 0.05
    assert not render_frames.is_worth_learning(touching)


def test_frames_are_written_whole(tmp_path: Path) -> None:
    rgb, depth = np.full((8, 12, 3), 7, np.uint8), np.full((8, 12), 1.5, np.float32)
    depth[0, 0] = 0.0
    labels = np.where(depth > 0, THING, SKY).astype(np.uint8)
    render_frames.write_frames(tmp_path / "near000000_0.npz", [Rendering(rgb, depth, labels)] * 3)
    with np.load(tmp_path / "near000000_0.npz") as content:
        assert content["rgb"].shape == (3, 8, 12, 3)
        assert content["depth_mm"][0, 0, 0] == 0
        assert content["depth_mm"][2, 5, 5] == 1500
        assert content["labels"].dtype == np.uint8
        assert content["labels"][1, 0, 0] == SKY
        assert content["labels"][2, 5, 5] == THING
    assert [path.name for path in tmp_path.iterdir()] == ["near000000_0.npz"]


def test_rotations_are_right_handed() -> None:
    np.testing.assert_allclose(rotation_about(2, np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(rotation_about(0, np.pi / 2) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
