"""The pure parts of the training scenes: no GPU, no EGL, nothing downloaded."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from rooms.clips import Clip, depth_to_millimetres, export_scene, read_clip, write_clip
from rooms.furniture import Catalogue, Item, load_item, read_catalogue, role_of
from rooms.layout import FloorPlan, Rectangle, rectangular_walls
from rooms.meshes import Material, Mesh, face_normals, grid_quad, rotation_about_y
from rooms.renderer import resolve_depth, resolve_labels, sub_samples
from rooms.shell import Opening, wall_meshes
from rooms.sources import Sources
from rooms.trajectories import ViewStatistics, is_worth_showing, look_at, orbit, pan360, random_trajectory
from rooms.wavefront import load_mtl, load_obj

angles = st.floats(-6.0, 6.0)
coordinates = st.tuples(st.floats(-3, 3), st.floats(0.5, 2), st.floats(-3, 3)).map(np.array)


def assert_rigid(poses: np.ndarray) -> None:
    rotations = poses[:, :3, :3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-9)
    np.testing.assert_array_equal(poses[:, 3], np.broadcast_to([0.0, 0.0, 0.0, 1.0], (len(poses), 4)))


# Trajectories


@given(coordinates, angles, st.floats(-0.5, 0.5), st.floats(0.0, 0.3), st.integers(3, 24))
@settings(max_examples=40)
def test_pan360_is_rigid_and_closed(centre: np.ndarray, azimuth: float, elevation: float, radius: float, views: int) -> None:
    poses = pan360(centre, views, azimuth, elevation, radius)
    assert_rigid(poses)
    steps = np.linalg.inv(poses) @ np.roll(poses, -1, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3] - centre, axis=1), radius, atol=1e-9)
    assert len(np.unique(poses[:, :3, 2].round(6), axis=0)) == views


@given(coordinates, st.floats(-2, 2))
@settings(max_examples=40)
def test_orbit_looks_at_its_target_from_one_distance(eye: np.ndarray, sweep: float) -> None:
    target = np.array([0.0, 0.3, 4.0])
    poses = orbit(eye, target, 7, sweep)
    assert_rigid(poses)
    offset = target - poses[:, :3, 3]
    np.testing.assert_allclose(np.linalg.norm(offset, axis=1), np.linalg.norm(target - eye), rtol=1e-9)
    np.testing.assert_allclose(-poses[:, :3, 2], offset / np.linalg.norm(offset, axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(poses[3, :3, 3], eye, atol=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_random_trajectories_are_rigid_and_upright(seed: int) -> None:
    path = random_trajectory(np.random.default_rng(seed), 5.0, 4.0, views=6)
    assert_rigid(path.cam_to_world)
    assert (path.cam_to_world[:, 1, 1] > 0).all()
    np.testing.assert_allclose(path.cam_to_world[:, 1, 0], 0.0, atol=1e-12)


def test_look_at_is_opengl() -> None:
    pose = look_at(np.array([0.0, 0.0, 2.0]), np.zeros(3))
    np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12)


def test_blank_walls_and_near_things_are_not_worth_showing() -> None:
    good = ViewStatistics(nearest=1.0, median=2.5, things=0.4, meshes=12)
    assert is_worth_showing("walk", [good] * 3)
    assert not is_worth_showing("walk", [good, replace(good, things=0.02), good])
    assert not is_worth_showing("walk", [good, replace(good, nearest=0.2), good])
    assert not is_worth_showing("orbit", [replace(good, meshes=2)] * 3)
    assert is_worth_showing("pan360", [good] * 7 + [replace(good, things=0.0)])
    assert not is_worth_showing("pan360", [good] + [replace(good, things=0.0)] * 3)


# Layout


@given(st.integers(0, 10_000), st.floats(0.3, 1.5), st.floats(0.3, 1.0), st.floats(0.2, 2.0))
@settings(max_examples=60)
def test_things_against_walls_never_overlap(seed: int, width: float, depth: float, height: float) -> None:
    rng = np.random.default_rng(seed)
    plan = FloorPlan(4.0, 3.5, 2.5)
    plan.claim(Rectangle(-0.5, -1.75, 0.8, -1.0), from_height=0.9)
    placed = []
    for wall in plan.walls * 3:
        s = plan.place_along(rng, wall, width, depth, height)
        if s is None:
            continue
        x, _, z = wall.point(s, out=depth / 2)
        rectangle = Rectangle.around(x, z, width, depth, wall.angle)
        assert plan.is_free(rectangle, height)
        plan.claim(rectangle)
        placed.append(rectangle)
    assert placed
    assert not any(a.overlaps(b) for i, a in enumerate(placed) for b in placed[:i])


def test_free_stretches_lie_between_obstacles() -> None:
    plan = FloorPlan(4.0, 3.0, 2.5)
    back = plan.walls[0]
    plan.claim(Rectangle(-1.0, -1.5, 0.0, -1.0))
    plan.claim(Rectangle(1.0, -1.5, 1.5, -1.2), from_height=0.9)
    np.testing.assert_allclose(plan.free_stretches(back, depth=0.4, height=0.5), [(0, 1), (2, 4)])
    np.testing.assert_allclose(plan.free_stretches(back, depth=0.4, height=2.0), [(0, 1), (2, 3), (3.5, 4)])
    np.testing.assert_allclose(plan.free_stretches(plan.walls[2], depth=0.4, height=2.0), [(0, 4)])


def test_a_full_floor_has_no_place() -> None:
    plan = FloorPlan(3.0, 3.0, 2.5)
    plan.claim(plan.floor)
    rng = np.random.default_rng(0)
    assert plan.place_inside(rng, 0.5, 0.5, 1.0) is None
    assert plan.place_along(rng, plan.walls[1], 0.5, 0.5, 1.0) is None
    assert plan.place_inside(rng, 4.0, 0.5, 1.0) is None


def test_pictures_on_a_wall_do_not_overlap() -> None:
    plan, rng = FloorPlan(3.0, 3.0, 2.5), np.random.default_rng(1)
    wall = plan.walls[2]
    plan.cover(wall, 1.0, 2.0, 0.0, 2.1)
    places = [plan.hang(rng, wall, 0.3, 1.2, 1.6) for _ in range(20)]
    hung = sorted(s for s in places if s is not None)
    assert len(hung) >= 2
    assert all(abs(s - 1.5) > 0.65 for s in hung)
    assert (np.diff(hung) > 0.3).all()


def test_furniture_faces_into_the_room() -> None:
    for wall in rectangular_walls(5.0, 4.0):
        np.testing.assert_allclose(rotation_about_y(wall.angle) @ [0, 0, 1], wall.inward, atol=1e-12)
        assert wall.point(wall.length / 2) @ wall.inward < 0


def test_walls_leave_their_openings_free_and_face_inwards() -> None:
    window = make_item(width=1.0, height=1.2, is_opening=True)
    for wall in rectangular_walls(4.0, 3.0):
        opening = Opening(window, Rectangle(1.0, 0.9, 2.0, 2.1), is_window=True)
        meshes = wall_meshes(wall, 2.5, [opening], Material(), texture_scale=0.5)
        triangles = np.concatenate([mesh.positions for mesh in meshes]).astype(np.float64)
        cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        np.testing.assert_allclose(np.linalg.norm(cross, axis=1).sum() / 2, wall.length * 2.5 - 1.2, rtol=1e-5)
        np.testing.assert_allclose(face_normals(triangles) @ wall.inward, 1.0, atol=1e-5)


def test_grid_quad_is_fine_enough_and_has_metric_uvs() -> None:
    quad = grid_quad(Material(), np.zeros(3), np.array([2.0, 0, 0]), np.array([0, 1.0, 0]), step=0.3, uv_per_metre=0.5)
    assert len(quad) == 2 * 7 * 4
    np.testing.assert_allclose(quad.uvs, quad.positions[..., :2] * 0.5, atol=1e-6)
    np.testing.assert_allclose(quad.normals, np.broadcast_to([0, 0, 1], quad.normals.shape))


# Models and catalogues

OBJ = """mtllib box.mtl
v 0 0 0
v 2 0 0
v 2 4 0
v 0 4 0
v 0 0 1
vt 0 0
vt 1 0
vt 1 1
vn 0 0 -1
usemtl Paint
f 1/1/1 2/2/1 3/3/1 4/1/1
usemtl Glass
f -5//1 -4//1 -1//1
f 1 1 2
"""
MTL = """newmtl Paint
Kd 0.2 0.4 0.6
map_Kd textures\\WOOD.PNG
newmtl Glass
d 0.1
Kd oops
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "textures").mkdir()
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "textures" / "wood.png")
    (tmp_path / "box.mtl").write_text(MTL)
    (tmp_path / "box.obj").write_text(OBJ)
    return tmp_path / "box.obj"


def make_item(**changes: object) -> Item:
    item = Item("Scopia", "Sofa", "Living room", Path("none.obj"), 2.0, 0.8, 0.9, 0.0, None, None, False)
    return replace(item, **changes)  # type: ignore[arg-type]


def test_mtl_is_read(model: Path) -> None:
    materials = load_mtl(model.with_suffix(".mtl"))
    assert materials["Paint"] == Material((0.2, 0.4, 0.6), 1.0, model.parent / "textures" / "wood.png")
    assert materials["Glass"] == Material(opacity=0.1)
    np.testing.assert_allclose(materials["Paint"].albedo(), [0.2**2.2, 0, 0], atol=1e-6)
    assert load_mtl(model.with_name("missing.mtl")) == {}


def test_obj_is_read(model: Path) -> None:
    paint, glass = load_obj(model)
    assert paint.material.diffuse == (0.2, 0.4, 0.6)
    np.testing.assert_array_equal(paint.positions[1], [[0, 0, 0], [2, 4, 0], [0, 4, 0]])
    np.testing.assert_array_equal(paint.uvs[0], [[0, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(paint.normals, np.broadcast_to([0, 0, -1], (2, 3, 3)))
    # The triangle without area is gone; negative indices count from the end.
    assert len(glass) == 1
    np.testing.assert_array_equal(glass.positions[0], [[0, 0, 0], [2, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("text", ["v 0 0 0\n", "v 0 0 0\nv 1 0 0\nf 1 2 7\n"])
def test_broken_obj_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.obj"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"broken\.obj"):
        load_obj(path)


def test_item_has_the_size_of_the_catalogue(model: Path) -> None:
    meshes = load_item(make_item(model=model, width=1.0, height=0.5, depth=0.25))
    # Glass is left out, but counts for the size.
    assert len(meshes) == 1
    points = meshes[0].positions.reshape(-1, 3)
    np.testing.assert_allclose(points.min(0), [-0.5, 0.0, -0.125], atol=1e-6)
    np.testing.assert_allclose(points.max(0), [0.5, 0.5, -0.125], atol=1e-6)


def test_catalogue_is_read_and_roles_given(tmp_path: Path, model: Path) -> None:
    properties = tmp_path / "catalogue.properties"
    properties.write_text(
        "# comment\nid#1=A\nname#1=Corner desk\ncategory#1=Office\nmodel#1=/box.obj\nwidth#1=120.5\ndepth#1=60\nheight#1=75\n"
        "name#2=No model\nwidth#2=1\n"
    )
    (item,) = read_catalogue(properties, "Scopia", tmp_path)
    assert (item.width, item.depth, item.height) == pytest.approx((1.205, 0.6, 0.75))
    assert item.model == model
    assert role_of(item) is None
    assert role_of(replace(item, name="Desk")) == "desk"
    assert role_of(make_item()) == "sofa"
    assert role_of(make_item(name="Sofa", width=5.0)) is None
    assert role_of(make_item(name="Car", category="Vehicles")) is None


def test_held_out_furniture_takes_its_roles(model: Path) -> None:
    common = make_item(model=model)
    held_out = replace(common, library="KatorLegaz")
    broken = replace(common, model=model.with_name("gone.obj"), name="Couch")
    bed = make_item(name="Bed", category="Bedroom", depth=2.0, model=model)
    rng = np.random.default_rng(0)
    assert Catalogue([common, bed]).pick(rng, "sofa") == common
    validation = Catalogue([common, held_out, bed])
    assert validation.items("sofa") == (held_out,)
    assert validation.pick(rng, "bed") == bed
    assert Catalogue([broken]).pick(rng, "sofa") is None
    assert Catalogue([common]).pick(rng, "sofa", lambda item: item.width < 1) is None


def test_picks_do_not_depend_on_earlier_ones(model: Path) -> None:
    items = [make_item(model=model.with_name("gone.obj"), name=f"Sofa {i}") for i in range(4)]
    items += [make_item(model=model, name=f"Sofa {i}") for i in range(4, 8)]
    used, fresh = Catalogue(items), Catalogue(items)
    for seed in range(20):
        used.pick(np.random.default_rng(seed), "sofa")
    rng_used, rng_fresh = np.random.default_rng(99), np.random.default_rng(99)
    assert [used.pick(rng_used, "sofa") for _ in range(8)] == [fresh.pick(rng_fresh, "sofa") for _ in range(8)]


def test_missing_sources_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"fetch_scenes\.py"):
        Sources.open(tmp_path, "train")


def test_transformed_normals_stay_perpendicular() -> None:
    quad = grid_quad(Material(), np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 1.0]), step=1.0)
    moved = quad.transformed(rotation_about_y(30.0), np.array([1.0, 3.0, 0.5]), np.ones(3))
    assert isinstance(moved, Mesh)
    np.testing.assert_allclose(moved.normals[:, 0], face_normals(moved.positions), atol=1e-6)


# Depth and files


def test_resolved_depth_is_exact_on_a_plane_and_crisp_at_edges() -> None:
    subpixels = (np.arange(8) + 0.5) / 2
    plane = 1.0 / (0.3 + 0.01 * subpixels[None] + 0.005 * subpixels[:, None])
    samples = np.stack(sub_samples(plane, 2))
    centres = np.arange(4) + 0.5
    np.testing.assert_allclose(resolve_depth(samples), 1.0 / (0.3 + 0.01 * centres[None] + 0.005 * centres[:, None]), rtol=1e-6)
    edge = np.array([[1.0, 1.0, 3.0, 3.0], [1.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.0, 2.0]]).T[:, None]
    np.testing.assert_allclose(resolve_depth(edge), [[1.0, 3.0, 0.0]])
    labels = np.array([[1, 1, 2, 2], [3, 4, 4, 4], [6, 6, 6, 5]], np.uint8).T[:, None]
    np.testing.assert_array_equal(resolve_labels(labels, edge, resolve_depth(edge)), [[1, 4, 6]])


def make_clip() -> Clip:
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.0, 70.0, (3, 8, 10))
    depth[0, 0, 0] = 0.0
    poses = pan360(np.array([0.1, 1.5, 0.2]), 3, 0.3, -0.1)
    return Clip(rng.integers(0, 256, (3, 8, 10, 3), np.uint8), depth_to_millimetres(depth), poses, 75.0, "pan360")


def test_clip_round_trip(tmp_path: Path) -> None:
    clip = make_clip()
    write_clip(clip, tmp_path / "deep" / "clip.npz")
    back = read_clip(tmp_path / "deep" / "clip.npz")
    np.testing.assert_array_equal(back.rgb, clip.rgb)
    np.testing.assert_array_equal(back.depth_mm, clip.depth_mm)
    np.testing.assert_allclose(back.cam_to_world, clip.cam_to_world, atol=1e-6)
    assert (back.fov_x_degrees, back.kind) == (75.0, "pan360")
    assert clip.depth_mm.max() == 65_000
    assert clip.depth_mm[0, 0, 0] == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["clip.npz"]


def test_damaged_clips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.npz"
    write_clip(make_clip(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"clip\.npz"):
        read_clip(path)
    with pytest.raises(ValueError, match="depth_mm"):
        replace(make_clip(), depth_mm=np.zeros((3, 8, 10), np.float32))


def test_export_follows_nerfstudio(tmp_path: Path) -> None:
    clip = make_clip()
    for _ in range(2):
        export_scene(clip, tmp_path / "scene")
    transforms = json.loads((tmp_path / "scene" / "transforms.json").read_text())
    assert (transforms["w"], transforms["h"]) == (10, 8)
    assert transforms["fl_x"] == pytest.approx(5.0 / np.tan(np.radians(37.5)))
    frame = transforms["frames"][1]
    np.testing.assert_allclose(frame["transform_matrix"], clip.cam_to_world[1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "scene" / frame["depth_file_path"])), clip.depth_mm[1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "scene" / frame["file_path"])), clip.rgb[1])
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]


# Light


def test_light_falls_off_and_shadows(model: Path) -> None:
    pytest.importorskip("embreex", reason="needs embreex, of the extras 'dev' and 'train'")
    from rooms.lighting import Environment, bake
    from rooms.room import Room
    from rooms.tracing import Tracer

    def floor_with(*others: Mesh) -> np.ndarray:
        size = np.array([4.0, 0.0, 0.0]), np.array([0.0, 0.0, -4.0])
        floor = grid_quad(Material(), np.array([-2.0, 0.0, 2.0]), *size, step=0.1, shell=True)
        room = Room("test", 4, 4, 2.5, (floor, *others), (), (np.array([0.0, 2.0, 0.0]),), ())
        environment = Environment(np.zeros((16, 32, 3)), np.zeros((4, 8, 3), np.uint8))
        light = bake(np.random.default_rng(0), room, environment, Tracer(room.meshes))
        middle = np.linalg.norm(floor.positions[:, 0], axis=1) < 0.2
        far = floor.positions[:, 0, 0] < -1.8
        return np.array([light.corners[0][middle].mean(), light.corners[0][far].mean()])

    middle, far = floor_with()
    assert middle > 2 * far > 0
    board = grid_quad(Material(), np.array([-0.4, 1.0, 0.4]), np.array([0.8, 0, 0]), np.array([0, 0, -0.8]), step=0.4)
    shaded, _ = floor_with(board)
    assert shaded < 0.4 * middle
