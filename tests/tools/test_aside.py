import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from rooms.around import ALWAYS, PATHS, circle, fits, paths_about, swing, to_and_fro
from rooms.grounds import SUBJECTS, clear_of, compose_place, rise, sky
from rooms.meshes import Material, Mesh, grid_quad
from rooms.room import Room
from rooms.shapes import box
from rooms.tabletop import MAKERS, is_level, level_places, with_things

EYE, SUBJECT = np.array([0.5, 1.4, 2.0]), np.array([0.3, 0.9, -0.1])
TABLE = 0.74


def angles(poses: np.ndarray) -> np.ndarray:
    """Degrees about the subject's upright axis, from the first camera on."""
    offset = poses[:, :3, 3] - SUBJECT
    azimuth = np.degrees(np.unwrap(np.arctan2(offset[:, 0], offset[:, 2])))
    return azimuth - azimuth[0]


def everywhere(eyes: np.ndarray) -> np.ndarray:
    return np.ones(len(eyes), bool)


def nothing_between(eyes: np.ndarray, rays: np.ndarray) -> np.ndarray:
    return np.full(len(eyes), 10.0)


@pytest.mark.parametrize("name", PATHS)
def test_every_path_begins_with_the_same_camera_and_looks_at_the_subject(name: str) -> None:
    poses = PATHS[name](EYE, SUBJECT, 17)
    assert poses.shape == (17, 4, 4)
    np.testing.assert_allclose(poses[0], PATHS["arc15"](EYE, SUBJECT, 17)[0], atol=1e-12)
    way = SUBJECT - poses[:, :3, 3]
    np.testing.assert_allclose(-poses[:, :3, 2], way / np.linalg.norm(way, axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.broadcast_to(np.eye(3), (17, 3, 3)), atol=1e-9
    )


def test_swings_go_to_both_sides_and_come_back() -> None:
    turned = angles(swing(EYE, SUBJECT, 33, 30.0))
    assert turned.max() == pytest.approx(30.0)
    assert turned.min() == pytest.approx(-30.0)
    assert turned[-1] == pytest.approx(0.0, abs=1e-9)


def test_circles_keep_their_distance_and_close() -> None:
    poses = circle(EYE, SUBJECT, 25, 360.0)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3] - SUBJECT, axis=1), np.linalg.norm(EYE - SUBJECT))
    np.testing.assert_allclose(poses[-1], poses[0], atol=1e-9)
    assert abs(angles(circle(EYE, SUBJECT, 25, 180.0))[-1]) == pytest.approx(180.0)


def test_a_dolly_goes_there_and_back() -> None:
    distance = np.linalg.norm(to_and_fro(EYE, SUBJECT, 21)[:, :3, 3] - SUBJECT, axis=1)
    assert distance[10] == pytest.approx(0.55 * distance[0])
    assert distance[-1] == pytest.approx(distance[0])


def test_only_paths_that_stay_clear_and_see_the_subject_are_made() -> None:
    assert set(paths_about(EYE, SUBJECT, 17, everywhere, nothing_between)) == set(PATHS)
    before = set(paths_about(EYE, SUBJECT, 17, lambda eyes: eyes[:, 2] > SUBJECT[2] - 0.5, nothing_between))
    assert before == set(ALWAYS)
    assert paths_about(EYE, SUBJECT, 17, lambda eyes: eyes[:, 0] < 1.0, nothing_between) == {}
    poses = circle(EYE, SUBJECT, 16, 180.0)
    assert not fits(poses, SUBJECT, everywhere, lambda eyes, rays: np.full(len(eyes), 0.5))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(3))
def test_things_stand_on_their_foot_and_have_a_tables_size(make, seed: int) -> None:
    meshes = make(np.random.default_rng(seed), [])
    points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in meshes])
    assert -0.003 < points[:, 1].min() < 0.012
    assert 0.08 < np.ptp(points[:, 1]) < 0.6
    assert np.abs(points[:, [0, 2]]).max() < 0.4
    normals = np.concatenate([mesh.normals for mesh in meshes])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-3)


@pytest.fixture
def room() -> Room:
    """A floor and a table of 1.4 x 0.9 metres with a box on one half."""
    floor = grid_quad(Material(), np.array([-2, 0, 2.0]), np.array([4.0, 0, 0]), np.array([0, 0, -4.0]), step=1.0, shell=True)
    table = box(Material(), (0, TABLE - 0.02, 0), (1.4, 0.04, 0.9))
    taken = box(Material(), (-0.45, TABLE + 0.1, 0), (0.4, 0.2, 0.8))
    return Room("test", 4.0, 4.0, 2.5, (floor, table, taken), (), (), ())


def test_things_are_put_on_free_places_of_a_table(room: Room) -> None:
    pytest.importorskip("embreex", reason="needs embreex, of the extras 'dev' and 'train'")
    set_out = with_things(np.random.default_rng(0), room, (), 5)
    assert set_out is not None
    fuller, middle = set_out
    things: list[Mesh] = list(fuller.meshes[3:])
    points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in things])
    assert np.abs(points[:, 1].min() - TABLE) < 0.012
    assert abs(middle[1] - TABLE - 0.1) < 0.02
    assert -0.3 < middle[0] < 0.7
    standing = points[points[:, 1] < TABLE + 0.05]
    assert (standing[:, 0] > -0.26).all()
    assert (np.abs(standing[:, 2]) < 0.46).all()
    bare = Room("test", 4.0, 4.0, 2.5, room.meshes[:1], (), (), ())
    assert with_things(np.random.default_rng(0), bare, (), 5) is None


def test_level_places_end_at_edges(room: Room) -> None:
    pytest.importorskip("embreex", reason="needs embreex, of the extras 'dev' and 'train'")
    from rooms.tracing import Tracer

    tracer = Tracer(room.meshes)
    assert is_level(tracer, np.array([0.3, TABLE, 0.0]), 0.1)
    assert not is_level(tracer, np.array([0.65, TABLE, 0.0]), 0.1)
    places = level_places(np.random.default_rng(0), room, tracer, 0.06)
    on_table = places[np.abs(places[:, 1] - TABLE) < 0.01]
    assert len(on_table) > 20
    assert on_table[:, 0].max() < 0.645


@pytest.mark.parametrize("name", SUBJECTS)
def test_subjects_stand_on_the_ground_within_what_is_kept_free(name: str) -> None:
    meshes, height = SUBJECTS[name](np.random.default_rng(1), {})
    points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in meshes])
    assert -0.2 < points[:, 1].min() < 0.05
    assert 0.3 < height < points[:, 1].max() < 6.0
    assert np.hypot(points[:, 0], points[:, 2]).max() < 3.0


def test_a_place_in_the_open_has_a_way_round_it() -> None:
    pytest.importorskip("embreex", reason="needs embreex, of the extras 'dev' and 'train'")
    from rooms.tracing import Tracer

    place = compose_place(np.random.default_rng(3), {})
    again = compose_place(np.random.default_rng(3), {})
    assert place.name == again.name
    np.testing.assert_array_equal(place.backdrop, again.backdrop)
    tracer = Tracer(place.meshes)
    eye = np.array([0.0, 1.6, 7.0])
    assert "orbit" in paths_about(eye, place.subject, 13, clear_of(tracer, 0.3), tracer.distances)
    assert not clear_of(tracer, 0.3)(np.array([[0.0, 0.2, 7.0]]))[0]
    assert (place.radiance(np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])) > 0).all()
    assert rise(0.0, 5.0) == 0


def test_the_sky_has_no_seam_and_is_haze_below() -> None:
    picture = sky(np.random.default_rng(0), np.array([0.3, 0.5, 1.0]), np.array([0.8, 0.9, 1.0])).astype(int)
    assert np.abs(picture[:, 0] - picture[:, -1]).max() <= 12
    assert np.ptp(picture[300:], axis=(0, 1)).max() == 0
    assert picture[:200].std() > 5
