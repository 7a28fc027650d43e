import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_from
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.io.colmap import load_colmap, save_colmap
from splatmem.io.path_files import load_path
from splatmem.io.transforms_json import load_transforms_json, save_transforms_json
from splatmem.io.tum import load_tum, save_tum

TARGET = {"width": 64, "height": 36, "fov_x_degrees": 60.0}


def random_cameras(n: int = 4, seed: int = 0, same_intrinsics: bool = True) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    rotations = quats_to_rotations(torch.randn(n, 4, generator=generator))
    cameras = Cameras.from_fov(rigid_from(rotations, torch.randn(n, 3, generator=generator)), 60.0, 64, 36)
    if not same_intrinsics:
        cameras.intrinsics[:, 0, 0] += torch.rand(n, generator=generator)
        cameras.intrinsics[:, 1, 2] += torch.rand(n, generator=generator)
    return cameras


def assert_same(a: Cameras, b: Cameras) -> None:
    assert (a.width, a.height) == (b.width, b.height)
    torch.testing.assert_close(a.world_to_cam, b.world_to_cam, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(a.intrinsics, b.intrinsics, atol=1e-5, rtol=1e-6)


@settings(max_examples=15)
@given(st.integers(2, 12), st.integers(0, 10**6), st.booleans())
def test_round_trips(tmp_path_factory: pytest.TempPathFactory, count: int, seed: int, same_intrinsics: bool) -> None:
    folder = tmp_path_factory.mktemp("paths")
    cameras = random_cameras(count, seed, same_intrinsics)
    save_transforms_json(cameras, folder / "transforms.json")
    assert_same(load_transforms_json(folder / "transforms.json"), cameras)
    assert_same(load_path(folder / "transforms.json", **TARGET), cameras)
    save_colmap(cameras, folder)
    assert_same(load_colmap(folder), cameras)
    assert_same(load_path(folder / "images.txt", **TARGET), cameras)
    save_tum(cameras, folder / "poses.txt")
    loaded = load_path(folder / "poses.txt", **TARGET)
    torch.testing.assert_close(loaded.world_to_cam, cameras.world_to_cam, atol=2e-6, rtol=1e-5)


def identity_frame(**more: object) -> dict:
    """A camera that looks along our +z: in OpenGL axes y and z are turned."""
    return {"transform_matrix": [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]], **more}


class TestTransformsJson:
    def load(self, folder: Path, content: object, **target: float) -> Cameras:
        (folder / "t.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return load_path(folder / "t.json", **(TARGET | target))  # type: ignore[arg-type]

    def test_axes(self, tmp_path: Path) -> None:
        cameras = self.load(tmp_path, {"frames": [identity_frame(), identity_frame()]})
        torch.testing.assert_close(cameras.world_to_cam, torch.eye(4).repeat(2, 1, 1))

    def test_camera_angle(self, tmp_path: Path) -> None:
        """NeRF's synthetic scenes have an angle and no image size."""
        cameras = self.load(tmp_path, {"camera_angle_x": math.pi / 2, "frames": [identity_frame()] * 2})
        torch.testing.assert_close(cameras.focal, torch.full((2, 2), 32.0))

    def test_frames_of_different_sizes_cover_the_target(self, tmp_path: Path) -> None:
        frames = [identity_frame(fl_x=500, w=1000, h=1000), identity_frame(fl_x=640, w=1280, h=720, cx=660)]
        cameras = self.load(tmp_path, {"frames": frames})
        torch.testing.assert_close(cameras.focal, torch.tensor([[32.0, 32.0], [32.0, 32.0]]))
        torch.testing.assert_close(cameras.intrinsics[:, :2, 2], torch.tensor([[32.0, 18.0], [33.0, 18.0]]))
        with pytest.raises(ValueError, match="several image sizes"):
            load_transforms_json(tmp_path / "t.json")

    def test_equal_intrinsics_are_written_once(self, tmp_path: Path) -> None:
        save_transforms_json(random_cameras(), tmp_path / "t.json", file_paths=["a", "b", "c", "d"])
        content = json.loads((tmp_path / "t.json").read_text())
        assert {"w", "h", "fl_x", "fl_y", "cx", "cy", "camera_model", "frames"} == set(content)
        assert [set(frame) for frame in content["frames"]] == [{"file_path", "transform_matrix"}] * 4

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "empty"),
            ("{", r"t\.json: expected JSON"),
            ("[" * 100_000, "expected JSON"),
            ([], "list 'frames'"),
            ({"frames": []}, "not empty"),
            ({"frames": [3, 4]}, "frame 0: expected an object"),
            ({"frames": [identity_frame(), {}]}, "frame 1: expected 'transform_matrix'"),
            ({"frames": [identity_frame(), {"transform_matrix": [[1, 2], [3, 4]]}]}, "frame 1: expected 'transform_matrix'"),
            ('{"frames": [{"transform_matrix": [[NaN,0,0,0],[0,1,0,0],[0,0,1,0]]}]}', "finite numbers"),
            ({"frames": [{"transform_matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]}] * 2}, "pose 0 is not rigid"),
            ({"frames": [{"transform_matrix": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}] * 2}, "not rigid"),
            ({"frames": [identity_frame()]}, "at least two cameras, the file holds 1"),
            ({"camera_model": "EQUIRECTANGULAR", "frames": [identity_frame()] * 2}, "got 'EQUIRECTANGULAR'; undistort"),
            ({"k1": 1e9, "frames": [identity_frame()] * 2}, "coefficients of distortion"),
            ({"is_fisheye": 1, "frames": [identity_frame()] * 2}, "'is_fisheye' must be true or false"),
            ({"fl_x": "wide", "frames": [identity_frame()] * 2}, "'fl_x' must be a finite number"),
            ({"fl_x": -5, "frames": [identity_frame()] * 2}, "positive focal lengths"),
        ],
    )
    def test_refused(self, tmp_path: Path, content: object, message: str) -> None:
        with pytest.raises(ValueError, match=message) as caught:
            self.load(tmp_path, content)
        assert "t.json" in str(caught.value)

    def test_intrinsics_are_needed_where_nothing_else_is_known(self, tmp_path: Path) -> None:
        (tmp_path / "t.json").write_text(json.dumps({"w": 8, "h": 8, "frames": [identity_frame()]}))
        with pytest.raises(ValueError, match="expected 'fl_x' or 'camera_angle_x'"):
            load_transforms_json(tmp_path / "t.json")
        (tmp_path / "t.json").write_text(json.dumps({"fl_x": 8, "frames": [identity_frame()]}))
        with pytest.raises(ValueError, match="image size as 'w' and 'h'"):
            load_transforms_json(tmp_path / "t.json")


class TestColmap:
    IMAGES = "# comment\n1 1 0 0 0 0 0 0 7 frame_10.png\n1.5 2.5 -1 3.5 4.5 12\n2 1 0 0 0 0 0 2 7 frame_9.png\n\n"

    def write(self, folder: Path, images: str = IMAGES, cameras: str | None = "7 SIMPLE_PINHOLE 128 72 64 64 36\n") -> Path:
        (folder / "images.txt").write_text(images)
        if cameras is not None:
            (folder / "cameras.txt").write_text(cameras)
        return folder

    def test_order_of_names_and_lines_of_points(self, tmp_path: Path) -> None:
        cameras = load_path(self.write(tmp_path), **TARGET)
        torch.testing.assert_close(cameras.world_to_cam[:, 2, 3], torch.tensor([2.0, 0.0]))
        torch.testing.assert_close(cameras.intrinsics[0], torch.tensor([[32.0, 0, 32], [0, 32, 18], [0, 0, 1]]))

    def test_inside_a_project_folder(self, tmp_path: Path) -> None:
        (tmp_path / "sparse" / "0").mkdir(parents=True)
        self.write(tmp_path / "sparse" / "0")
        assert len(load_path(tmp_path, **TARGET)) == 2

    def test_without_intrinsics(self, tmp_path: Path) -> None:
        cameras = load_path(self.write(tmp_path, cameras=None), **TARGET)
        torch.testing.assert_close(cameras.focal, random_cameras(2).focal)
        with pytest.raises(ValueError, match=r"expected cameras\.txt beside images\.txt"):
            load_colmap(tmp_path)

    @pytest.mark.parametrize(
        ("images", "cameras", "message"),
        [
            ("# nothing\n", None, "at least one image"),
            ("1 1 0 0 0 0 0 0 7 a.png\n\n", None, "at least two cameras"),
            ("1 1 0 0 0 0 0 0 7\n\n", None, r"images\.txt:1: expected IMAGE_ID QW"),
            ("1 nan 0 0 0 0 0 0 7 a\n\n", None, r"images\.txt:1: a value is NaN"),
            ("1 one 0 0 0 0 0 0 7 a\n\n", None, "expected numbers"),
            ("1 2 0 0 0 0 0 0 7 a\n\n", None, "quaternion of length 1, got one of length 2"),
            (IMAGES, "7 FOV 128 72 64 64 64 36 0.1\n", r"cameras\.txt:1: camera model FOV cannot be undistorted here"),
            (IMAGES, "7 PINHOLE 128 72 64 64 36\n", "PINHOLE has 4 parameters, got 3"),
            (IMAGES, "7 PINHOLE\n", "expected CAMERA_ID MODEL"),
            (IMAGES, "seven PINHOLE 128 72 64 64 36 36\n", "expected the id of a camera, a whole number, got 'seven'"),
            (IMAGES, "8 PINHOLE 128 72 64 64 36 36\n", "camera 7, which .* does not hold"),
            (IMAGES, "7 PINHOLE 128 72 0 64 36 36\n", "positive focal lengths"),
        ],
    )
    def test_refused(self, tmp_path: Path, images: str, cameras: str | None, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            load_path(self.write(tmp_path, images, cameras) / "images.txt", **TARGET)


class TestTum:
    def test_cam_to_world_in_order_of_time(self, tmp_path: Path) -> None:
        (tmp_path / "p.txt").write_text("# t\n2.0 5 0 0 0 0 0 1\n1.0 0 0 3 0 0.70710678 0 0.70710678\n")
        cameras = load_tum(tmp_path / "p.txt", **TARGET)  # type: ignore[arg-type]
        torch.testing.assert_close(cameras.centers, torch.tensor([[0.0, 0, 3], [5, 0, 0]]))
        torch.testing.assert_close(cameras.forward[0], torch.tensor([1.0, 0, 0]), atol=1e-6, rtol=0)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("# only a comment\n", "the file holds none"),
            ("0 0 0 0 0 0 0 1\n", "at least two cameras"),
            ("0 0 0 0 0 0 1\n", r"p\.txt:1: expected timestamp tx ty tz"),
            ("0 0 0 0 0 0 0 1\n1 0 0 inf 0 0 0 1\n", r"p\.txt:2: a value is NaN or infinite"),
            ("0 0 0 0 0 0 0 0\n", "quaternion of length 1"),
            ("a b c d e f g h\n", "expected numbers"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "p.txt").write_text(text)
        with pytest.raises(ValueError, match=message):
            load_path(tmp_path / "p.txt", **TARGET)


class TestKeyframes:
    CLOSED = """
closed: true
frames: 30
keyframes:
  - {position: [0, 0, 0], look_at: [0, 0, 2], fov: 60}
  - {position: [1, 0, 1], look_at: [0, 0, 2], fov: 40}
  - {position: [0, 0.2, 1], quaternion: [1, 0, 0, 0]}
"""

    def test_yaml(self, tmp_path: Path) -> None:
        (tmp_path / "p.yaml").write_text(self.CLOSED)
        cameras = load_path(tmp_path / "p.yaml", **TARGET)
        assert len(cameras) == 30
        torch.testing.assert_close(cameras.world_to_cam[0], torch.eye(4))
        torch.testing.assert_close(cameras.centers[20], torch.tensor([0.0, 0.2, 1.0]))
        pixel, _ = cameras[10].project(torch.tensor([[0.0, 0.0, 2.0]]))
        torch.testing.assert_close(pixel[0, 0], torch.tensor([32.0, 18.0]), atol=1e-3, rtol=0)
        fov = 2 * torch.rad2deg(torch.atan(32 / cameras.focal[[0, 10, 20], 0]))
        torch.testing.assert_close(fov, torch.tensor([60.0, 40.0, 60.0]), atol=1e-3, rtol=0)

    def test_json_and_the_number_of_frames(self, tmp_path: Path) -> None:
        keyframes = [{"position": [0, 0, z], "look_at": [0, 0, 9]} for z in (0, 1)]
        (tmp_path / "p.json").write_text(json.dumps({"keyframes": keyframes}))
        cameras = load_path(tmp_path / "p.json", **TARGET, frames=11)
        torch.testing.assert_close(cameras.centers[:, 2], torch.linspace(0, 1, 11))
        assert len(load_path(tmp_path / "p.json", **TARGET)) == 96

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "empty"),
            ("# nothing", "list 'keyframes'"),
            ("keyframes: [", "expected YAML"),
            ("keyframes: 3", "list 'keyframes', got 3"),
            ("keyframes: [{position: [0, 0, 0], look_at: [0, 0, 1]}]", "at least two keyframes, the file holds 1"),
            ("keyframes: [1, 2]", "keyframe 1: expected 'position'"),
            ("keyframes: [{position: [0, 0], look_at: [0, 0, 1]}, {}]", "'position' must be a list of 3 finite numbers"),
            ("keyframes: [{position: [0, .nan, 0], look_at: [0, 0, 1]}, {}]", "3 finite numbers"),
            ("keyframes: [{position: [0, 0, 0]}, {}]", "either 'look_at' or 'quaternion'"),
            ("keyframes: [{position: [0, 0, 0], lookat: [0, 0, 1]}, {}]", "unknown field 'lookat'"),
            ("keyframes: [{position: [0, 0, 0], quaternion: [2, 0, 0, 0]}, {}]", "quaternion of length 1"),
            ("keyframes: [{position: [0, 0, 0], look_at: [0, 1, 0]}, {}]", "keyframe 1: .*straight up or down"),
            (CLOSED.replace("fov: 40", "fov: 400"), "keyframe 2: 'fov' must be"),
            (CLOSED.replace("30", "1"), "'frames' must be a whole number"),
            (CLOSED.replace("true", "maybe"), "'closed' must be true or false"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "p.yaml").write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            load_path(tmp_path / "p.yaml", **TARGET)
        assert "p.yaml" in str(caught.value)


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no path file"):
        load_path("trun", **TARGET)
    (tmp_path / "p.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"p\.csv: not a kind of path file"):
        load_path(tmp_path / "p.csv", **TARGET)
    with pytest.raises(ValueError, match="the folder holds no path"):
        load_path(tmp_path, **TARGET)


class TestPathsOfOtherPrograms:
    MATRIX = (1.0, 0, 0, 0.5, 0, 1, 0, 2, 0, 0, 1, -3, 0, 0, 0, 1)

    def viewer(self, **more: object) -> dict:
        """As nerfstudio's viewer exports it; its field of view is vertical."""
        entry = {"camera_to_world": list(self.MATRIX), "fov": 50, "aspect": 1.6}
        head = {"camera_type": "perspective", "render_height": 80, "render_width": 128, "fps": 24, "is_cycle": False}
        return {**head, "camera_path": [entry] * 4, "keyframes": [{"matrix": "[1]", "fov": 50}], **more}

    def test_nerfstudio_s_viewer(self, tmp_path: Path) -> None:
        (tmp_path / "camera_path.json").write_text(json.dumps(self.viewer()))
        cameras = load_path(tmp_path / "camera_path.json", width=128, height=80, fov_x_degrees=60)
        assert len(cameras) == 4
        torch.testing.assert_close(cameras.focal, torch.full((4, 2), 40 / math.tan(math.radians(25))))
        torch.testing.assert_close(cameras.centers[0], torch.tensor([0.5, 2.0, -3.0]))
        torch.testing.assert_close(cameras.forward[0], torch.tensor([0.0, 0.0, -1.0]), msg="OpenGL looks along -z")

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"camera_type": "equirectangular"}, "'camera_type' perspective, got 'equirectangular'"),
            ({"camera_path": []}, "a list of cameras that is not empty"),
            ({"camera_path": [3, 4]}, "camera 0: expected an object"),
            ({"camera_path": [{"camera_to_world": [1, 2]}] * 2}, "camera 0: expected 'transform_matrix'"),
            ({"camera_path": [{"camera_to_world": [*MATRIX], "fov": 180}] * 2}, "vertical field of view"),
            ({"render_width": 1e30}, "sizes in pixels"),
        ],
    )
    def test_nerfstudio_s_viewer_refused(self, tmp_path: Path, more: dict, message: str) -> None:
        (tmp_path / "p.json").write_text(json.dumps(self.viewer(**more)))
        with pytest.raises(ValueError, match=message) as caught:
            load_path(tmp_path / "p.json", **TARGET)
        assert "p.json" in str(caught.value)

    def test_cameras_json_of_3dgs(self, tmp_path: Path) -> None:
        """Rotations are cam-to-world with OpenCV's axes."""
        truth = random_cameras(3)
        rows = []
        for index, pose in enumerate(truth.cam_to_world.tolist()):
            lens = {"width": 64, "height": 36, "fx": truth.focal[0, 0].item(), "fy": truth.focal[0, 1].item()}
            place = {"position": [row[3] for row in pose[:3]], "rotation": [row[:3] for row in pose[:3]]}
            rows.append({"id": index, "img_name": str(index), **place, **lens})
        (tmp_path / "cameras.json").write_text(json.dumps(rows))
        assert_same(load_path(tmp_path / "cameras.json", **TARGET), truth)
        rows[1]["rotation"][0] = [2, 0, 0]
        (tmp_path / "cameras.json").write_text(json.dumps(rows))
        with pytest.raises(ValueError, match=r"cameras\.json: pose 1 is not rigid"):
            load_path(tmp_path / "cameras.json", **TARGET)

    @pytest.mark.parametrize("key", ["w2c", "c2w", "extrinsics"])
    @pytest.mark.parametrize("lens", ["matrices", "one", "rows", "none"])
    def test_npz(self, tmp_path: Path, key: str, lens: str) -> None:
        truth = random_cameras(5)
        poses = truth.cam_to_world if key == "c2w" else truth.world_to_cam[:, :3]
        k = truth.intrinsics.numpy()
        rows = k[:, [0, 1, 0, 1], [0, 1, 2, 2]]
        given = {"matrices": {"K": k}, "one": {"intrinsics": k[0]}, "rows": {"intrinsics": rows}, "none": {}}[lens]
        np.savez(tmp_path / "p.npz", **{key: poses.numpy()}, **given)
        assert_same(load_path(tmp_path / "p.npz", **TARGET), truth)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({}, "expected an array w2c or c2w"),
            ({"w2c": np.zeros((3, 2))}, r"shape \[n, 4, 4\]"),
            ({"w2c": np.full((3, 4, 4), np.nan)}, "NaN or infinite"),
            ({"w2c": np.array(["a"], dtype=object)}, "the array w2c is damaged"),
            ({"w2c": np.tile(np.eye(4), (3, 1, 1)), "K": np.zeros((2, 3, 3))}, "finite intrinsics, one for all"),
            ({"w2c": np.tile(np.eye(4), (3, 1, 1)), "K": np.zeros((3, 3))}, "intrinsics in pixels"),
        ],
    )
    def test_npz_refused(self, tmp_path: Path, arrays: dict, message: str) -> None:
        np.savez(tmp_path / "p.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            load_path(tmp_path / "p.npz", **TARGET)

    def test_an_npz_that_promises_more_than_it_holds(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "p.npz", w2c=np.zeros((2, 4, 4)))
        content = (tmp_path / "p.npz").read_bytes()
        with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
            header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 4, 4), }"
            archive.writestr("w2c.npy", header.ljust(127) + b"\n" + bytes(256))
        assert len(content) > 0
        with pytest.raises(ValueError, match="its header does not fit its length"):
            load_path(tmp_path / "p.npz", **TARGET)
        with zipfile.ZipFile(tmp_path / "p.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("w2c.npy", bytes(200_000_000))
        with pytest.raises(ValueError, match="has more than 64 MiB"):
            load_path(tmp_path / "p.npz", **TARGET)

    def test_kitti(self, tmp_path: Path) -> None:
        truth = random_cameras(4)
        rows = truth.cam_to_world[:, :3].reshape(4, 12).tolist()
        (tmp_path / "00.txt").write_text("\n".join(" ".join(f"{value:.9e}" for value in row) for row in rows))
        torch.testing.assert_close(
            load_path(tmp_path / "00.txt", **TARGET).world_to_cam, truth.world_to_cam, atol=1e-6, rtol=1e-5
        )
        (tmp_path / "00.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0\n")
        with pytest.raises(ValueError, match=r"00\.txt:2: expected 12 numbers"):
            load_path(tmp_path / "00.txt", **TARGET)

    @pytest.mark.parametrize("header", ["timestamp tx ty tz qx qy qz qw", "t,x,y,z,qx,qy,qz,qw", "# t x"])
    def test_tum_with_a_header(self, tmp_path: Path, header: str) -> None:
        (tmp_path / "p.txt").write_text(f"{header}\n0 0 0 0 0 0 0 1\n1 0.1 0 0 0 0 0 1\n")
        assert len(load_path(tmp_path / "p.txt", **TARGET)) == 2

    @pytest.mark.parametrize("length", [0.92, 0.985, 1.05])
    def test_quaternions_that_are_not_quite_unit(self, tmp_path: Path, length: float) -> None:
        (tmp_path / "p.txt").write_text(f"0 0 0 0 0 {0.6 * length} 0 {0.8 * length}\n1 0 0 3 0 0 0 1\n")
        first = load_path(tmp_path / "p.txt", **TARGET).world_to_cam[0, :3, :3].double()
        torch.testing.assert_close(first @ first.T, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("length", [0.5, 1.5, 1e-3, 1e200])
    def test_quaternions_far_from_unit(self, tmp_path: Path, length: float) -> None:
        (tmp_path / "p.txt").write_text(f"0 0 0 0 0 0 0 {length}\n1 0 0 3 0 0 0 1\n")
        with pytest.raises(ValueError, match="quaternion of length 1, got one of length"):
            load_path(tmp_path / "p.txt", **TARGET)


class TestWhatEditorsAndIllWillDo:
    @pytest.mark.parametrize("name", ["t.json", "k.yaml", "p.txt", "images.txt", "k.json"])
    def test_a_byte_order_mark(self, tmp_path: Path, name: str) -> None:
        keyframes = {"keyframes": [{"position": [0, 0, z], "look_at": [0, 0, 9]} for z in (0, 1)]}
        content = {
            "t.json": json.dumps({"frames": [identity_frame(fl_x=60, w=64, h=36)] * 2}),
            "k.yaml": "keyframes: [{position: [0, 0, 0], look_at: [0, 0, 2]}, {position: [0, 0, 1], look_at: [0, 0, 2]}]",
            "p.txt": "0 0 0 0 0 0 0 1\n1 0 0 1 0 0 0 1\n",
            "images.txt": "1 1 0 0 0 0 0 0 7 a.png\n\n2 1 0 0 0 0 0 2 7 b.png\n\n",
            "k.json": json.dumps(keyframes),
        }[name]
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
        assert len(load_path(tmp_path / name, **TARGET)) >= 2

    @pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1E+2", 100.0), ("-2e0", -2.0), ("5e-1", 0.5), (".5", 0.5)])
    def test_numbers_in_yaml(self, tmp_path: Path, text: str, value: float) -> None:
        first = "{position: [0, 0, 0], quaternion: [1, 0, 0, 0]}"
        (tmp_path / "p.yaml").write_text(f"keyframes: [{first}, {{position: [0, 0, {text}], quaternion: [1, 0, 0, 0]}}]")
        assert load_path(tmp_path / "p.yaml", **TARGET).centers[-1, 2].item() == pytest.approx(value, rel=1e-5)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: &a [x, x]\nb: [*a, *a]\nkeyframes: *a\n", "an alias in line 2"),
            ("a: &a [*a]\nkeyframes: 1\n", "an alias"),
            ("[" * 100_000, "nested more than 24 deep"),
            ("- " * 5_000 + "1", "nested more than 24 deep"),
            ("".join(f"{' ' * i}a:\n" for i in range(2000)), "nested more than 24 deep"),
            ("keyframes: !!timestamp x", "could not determine a constructor"),
            ("keyframes: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
            ("keyframes: !!int x", "expected YAML"),
            ("keyframes: !!bool maybe", "expected YAML"),
            ("keyframes: !!float [1]", "expected YAML"),
            ("keyframes: !!binary aGk=", "could not determine a constructor"),
            ("? [a]\n: 1", "expected YAML"),
            ("keyframes: " + "9" * 10_000, "expected YAML"),
            ("frames: 1000000000\n" + TestKeyframes.CLOSED.replace("frames: 30", ""), "2 to 10000, got 1000000000"),
        ],
    )
    def test_yaml_that_is_meant_ill(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "p.yaml").write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            load_path(tmp_path / "p.yaml", **TARGET)
        assert "p.yaml" in str(caught.value)
        assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize(
        "more",
        [
            {"fl_x": 1e-46},
            {"fl_x": 1e39},
            {"camera_angle_x": 5e-324},
            {"camera_angle_x": 3.2},
            {"fl_x": 50, "cx": 1e38},
            {"fl_x": 50, "w": 1e300},
            {"fl_x": 50, "w": 1e-300},
            {"transform_matrix": [[1, 0, 0, 1e39], [0, -1, 0, 0], [0, 0, -1, 0]]},
            {"transform_matrix": [[1, 0, 0, 10**400], [0, -1, 0, 0], [0, 0, -1, 0]]},
            {"transform_matrix": [[1, 0, 0, 1e20], [0, -1, 0, 0], [0, 0, -1, 0]]},
        ],
    )
    def test_numbers_that_leave_float32(self, tmp_path: Path, more: dict) -> None:
        (tmp_path / "p.json").write_text(json.dumps({"frames": [identity_frame() | {"w": 64, "h": 36} | more] * 2}))
        with pytest.raises(ValueError, match=r"p\.json"):
            load_path(tmp_path / "p.json", **TARGET)
