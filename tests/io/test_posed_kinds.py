"""Posed pictures as people really bring them: other machines' names, masks, lenses, missing pictures, turned files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from splatmem.geometry.cameras import Cameras, relative_to
from splatmem.geometry.poses import require_rigid, rigid_inverse
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.io.colmap import read_colmap, save_colmap
from splatmem.io.path_files import load_path
from splatmem.io.source import Source, read_source
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.video import write_video

from scene_folders import there_and_back, write_colmap_binary, write_scene
from textured_room import room

SIZE = (128, 72)


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return there_and_back(8, *SIZE, sway=0.4)


@pytest.fixture(scope="module")
def made(cameras: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("posed") / "scene", cameras, depth=False)


@pytest.fixture
def scene(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "scene")


def change(scene: Path, edit: Callable[[dict], object], name: str = "transforms.json") -> None:
    content = json.loads((scene / "transforms.json").read_text())
    edit(content)
    (scene / "transforms.json").unlink()
    (scene / name).write_text(json.dumps(content))


def read(place: Path) -> Source:
    return read_source(place, None, *SIZE, None)


def shows_the_room(source: Source, cameras: Cameras, tolerance: float = 0.004) -> None:
    assert source.cameras is not None
    torch.testing.assert_close(source.cameras.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=0)
    assert (source.rgb - room().render(cameras).rgb).abs().mean() < tolerance


class TestNames:
    @pytest.mark.parametrize(
        "rename",
        [
            lambda name: name.replace("/", "\\"),
            lambda name: "./" + name,
            lambda name: name.removesuffix(".png"),
            lambda name: name.upper(),
            lambda name: "C:\\Users\\me\\scene\\" + name.replace("/", "\\"),
            lambda name: "/home/me/scene/" + name,
        ],
    )
    def test_of_other_machines(self, scene: Path, cameras: Cameras, rename: Callable[[str], str]) -> None:
        def edit(content: dict) -> None:
            for frame in content["frames"]:
                frame["file_path"] = rename(frame["file_path"])

        change(scene, edit)
        shows_the_room(read(scene), cameras)

    def test_suffix_in_capitals_left_out(self, scene: Path, cameras: Cameras) -> None:
        for file in sorted((scene / "images").iterdir()):
            file.rename(file.with_suffix(".PNG"))
        change(scene, lambda content: [f.update(file_path=f["file_path"][:-4]) for f in content["frames"]])
        shows_the_room(read(scene), cameras)

    def test_missing_ones_are_left_out_with_a_note(self, scene: Path, cameras: Cameras) -> None:
        (scene / "images" / "frame_002.png").unlink()
        source = read(scene)
        shows_the_room(source, cameras[[0, 1, 3, 4, 5, 6]])
        assert len(source.notes) == 1
        assert source.notes[0].startswith("1 of 7 pictures were left out: ")
        assert "frame 2: there is no picture" in source.notes[0]

    def test_missing_ones_of_colmap(self, scene: Path, cameras: Cameras) -> None:
        (scene / "transforms.json").unlink()
        save_colmap(cameras, scene, [f"frame_{i:03d}.png" for i in range(7)])
        (scene / "images" / "frame_000.png").unlink()
        source = read(scene)
        shows_the_room(source, cameras[[1, 2, 3, 4, 5, 6]])
        assert source.notes[0].startswith("1 of 7 pictures were left out: ")

    def test_the_file_itself_and_nerf_s_name(self, scene: Path, cameras: Cameras) -> None:
        shows_the_room(read(scene / "transforms.json"), cameras)
        change(scene, lambda content: None, "transforms_train.json")
        source = read(scene)
        shows_the_room(source, cameras)
        assert source.notes == ["the pictures of transforms_train.json were taken, as there is no transforms.json"]


class TestStoredGrid:
    def test_exif_does_not_turn_posed_pictures(self, scene: Path, cameras: Cameras) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        for file in (scene / "images").iterdir():
            with Image.open(file) as image:
                image.load()
            image.save(file, exif=exif)
        shows_the_room(read(scene), cameras)
        (scene / "transforms.json").unlink()
        write_colmap_binary(cameras, scene, [f"frame_{i:03d}.png" for i in range(7)])
        shows_the_room(read(scene), cameras)


def turned_video(file: Path, frames: np.ndarray, degrees: int) -> None:
    """A video whose track header says that it is to be turned clockwise."""
    write_video(file, frames, 24, crf=12)
    content = bytearray(file.read_bytes())
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    header = content.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and ids, then layers and volume
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        content[header + place : header + place + 4] = (value * 65536).to_bytes(4, "big", signed=True)
    file.write_bytes(content)


class TestVideos:
    def test_poses_of_the_stored_grid(self, cameras: Cameras, tmp_path: Path) -> None:
        turned_video(tmp_path / "v.mp4", (room().render(cameras).rgb * 255).round().byte().numpy(), 90)
        save_transforms_json(cameras, tmp_path / "p.json")
        source = read_source(tmp_path / "v.mp4", tmp_path / "p.json", *SIZE, None)
        shows_the_room(source, cameras, tolerance=0.02)
        assert source.notes == ["v.mp4 is to be shown at 72x128, but its poses speak of 128x72: it was read as it is stored"]

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_poses_of_the_upright_grid(self, degrees: int, tmp_path: Path) -> None:
        upright = there_and_back(8, 72, 128, sway=0.4) if degrees != 180 else there_and_back(8, *SIZE, sway=0.4)
        seen = (room().render(upright).rgb * 255).round().byte().numpy()
        stored = np.rot90(seen, degrees // 90, axes=(1, 2))
        turned_video(tmp_path / "v.mp4", np.ascontiguousarray(stored), degrees)
        save_transforms_json(upright, tmp_path / "p.json")
        source = read_source(tmp_path / "v.mp4", tmp_path / "p.json", upright.width, upright.height, None)
        shows_the_room(source, upright, tolerance=0.02)
        assert source.notes == []

    def test_poses_of_another_shape(self, cameras: Cameras, tmp_path: Path) -> None:
        write_video(tmp_path / "v.mp4", room().render(cameras).rgb, 24)
        save_transforms_json(cameras.resized(80, 72), tmp_path / "p.json")
        with pytest.raises(ValueError, match=r"v\.mp4 has 128x72 pixels: expected the shape of 80x72"):
            read_source(tmp_path / "v.mp4", tmp_path / "p.json", *SIZE, None)


def distorted(cameras: Cameras, fisheye: bool, coefficients: list[float]) -> np.ndarray:
    """What a lens with distortion sees of the room, drawn from a wider pinhole picture."""
    focal, center = cameras.focal[0].tolist(), cameras.intrinsics[0, :2, 2].tolist()
    wide = Cameras(cameras.world_to_cam, cameras.intrinsics.clone(), 4 * SIZE[0], 4 * SIZE[1])
    wide.intrinsics[:, :2, 2] += torch.tensor([1.5 * SIZE[0], 1.5 * SIZE[1]])
    seen = room().render(wide).rgb.numpy()
    v, u = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float64)
    points = np.stack([(u + 0.5 - center[0]) / focal[0], (v + 0.5 - center[1]) / focal[1]], -1).reshape(-1, 1, 2)
    if fisheye:
        straight = cv2.fisheye.undistortPoints(points, np.eye(3), np.array(coefficients))
    else:
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)
        straight = cv2.undistortPoints(points, np.eye(3), np.array(coefficients), criteria=criteria)
    places = straight.reshape(*SIZE[::-1], 2) * focal + wide.intrinsics[0, :2, 2].numpy() - 0.5
    places = places.astype(np.float32)
    return np.stack([cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_CUBIC) for picture in seen]).clip(0, 1)


LENSES = {
    "OPENCV": (False, [-0.12, 0.02, 0.003, -0.002]),
    "FULL_OPENCV": (False, [0.1, 0.05, 0.001, -0.001, 0.01, 0.03, 0.02, 0.005]),
    "SIMPLE_RADIAL": (False, [0.09]),
    "RADIAL": (False, [-0.1, 0.03]),
    "OPENCV_FISHEYE": (True, [0.02, -0.01, 0.003, -0.001]),
    "RADIAL_FISHEYE": (True, [0.03, -0.01]),
    "SIMPLE_RADIAL_FISHEYE": (True, [0.03]),
}


class TestLenses:
    def check(self, source: Source, cameras: Cameras) -> None:
        assert source.cameras is not None
        torch.testing.assert_close(source.cameras.intrinsics, cameras.intrinsics, atol=1e-3, rtol=0)
        used = torch.ones(source.rgb.shape[:3], dtype=torch.bool) if source.usable is None else source.usable
        truth = room().render(cameras).rgb
        assert used.float().mean() > 0.8
        assert (source.rgb - truth).abs()[used].mean() < 0.01

    @pytest.mark.parametrize("model", LENSES)
    def test_colmap(self, scene: Path, cameras: Cameras, model: str) -> None:
        fisheye, coefficients = LENSES[model]
        full = [*coefficients, 0.0, 0.0, 0.0][: max(4, len(coefficients))]
        for index, rgb in enumerate(distorted(cameras, fisheye, full)):
            Image.fromarray((rgb * 255).round().astype(np.uint8)).save(scene / "images" / f"frame_{index:03d}.png")
        (scene / "transforms.json").unlink()
        save_colmap(cameras, scene, [f"frame_{i:03d}.png" for i in range(7)])
        (fx, fy), (cx, cy) = cameras.focal[0].tolist(), cameras.intrinsics[0, :2, 2].tolist()
        focals = [fx] if "RADIAL" in model else [fx, fy]
        numbers = " ".join(map(str, [*focals, cx, cy, *coefficients]))
        lines = [f"{index + 1} {model} {SIZE[0]} {SIZE[1]} {numbers}\n" for index in range(7)]
        (scene / "cameras.txt").write_text("".join(lines))
        self.check(read(scene), cameras)

    @pytest.mark.parametrize("by", ["camera_model", "is_fisheye"])
    def test_fisheye_in_transforms_json(self, scene: Path, cameras: Cameras, by: str) -> None:
        _, coefficients = LENSES["OPENCV_FISHEYE"]
        for index, rgb in enumerate(distorted(cameras, True, coefficients)):
            Image.fromarray((rgb * 255).round().astype(np.uint8)).save(scene / "images" / f"frame_{index:03d}.png")
        said = {"camera_model": "OPENCV_FISHEYE"} if by == "camera_model" else {"is_fisheye": True}
        named = dict(zip(("k1", "k2", "k3", "k4"), coefficients, strict=True))
        change(scene, lambda content: content.update(said, **named))
        self.check(read(scene), cameras)

    def test_rational_model_in_transforms_json(self, scene: Path, cameras: Cameras) -> None:
        _, coefficients = LENSES["FULL_OPENCV"]
        for index, rgb in enumerate(distorted(cameras, False, coefficients)):
            Image.fromarray((rgb * 255).round().astype(np.uint8)).save(scene / "images" / f"frame_{index:03d}.png")
        named = dict(zip(("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"), coefficients, strict=True))
        change(scene, lambda content: content.update(**named))
        self.check(read(scene), cameras)

    def test_what_the_lens_does_not_show_is_not_used(self, scene: Path) -> None:
        """With this sign the corners of the undistorted picture lie beyond the distorted one."""
        change(scene, lambda content: content.update(k1=0.3))
        source = read(scene)
        assert source.usable is not None
        assert not source.usable[:, 0, 0].any()
        assert source.usable[:, 36, 64].all()
        assert "of the pictures' pixels are masked out or beyond the lens: not used" in source.notes[0]

    @pytest.mark.parametrize("model", ["THIN_PRISM_FISHEYE", "FOV", "EUCM"])
    def test_what_cannot_be_undone_is_named(self, scene: Path, cameras: Cameras, model: str) -> None:
        (scene / "transforms.json").unlink()
        save_colmap(cameras, scene, [f"frame_{i:03d}.png" for i in range(7)])
        count = {"THIN_PRISM_FISHEYE": 12, "FOV": 5, "EUCM": 6}[model]
        (scene / "cameras.txt").write_text(f"1 {model} 128 72 " + " ".join(["60"] * count))
        with pytest.raises(ValueError, match=f"camera model {model} cannot be undistorted here"):
            read(scene)

    def test_distortion_that_folds_the_picture_over(self, scene: Path) -> None:
        change(scene, lambda content: content.update(k1=-40.0))
        with pytest.raises(ValueError, match=r"the lens's distortion .* cannot be undone: only"):
            read(scene)


class TestMasks:
    def test_masked_pixels_are_not_used(self, scene: Path, cameras: Cameras) -> None:
        (scene / "masks").mkdir()
        mask = np.full(SIZE[::-1], 255, np.uint8)
        mask[20:50, 40:90] = 0
        Image.fromarray(mask).save(scene / "masks" / "m.png")
        with Image.open(scene / "images" / "frame_003.png") as image:
            spoilt = np.array(image)
        spoilt[20:50, 40:90] = 255, 0, 255
        Image.fromarray(spoilt).save(scene / "images" / "frame_003.png")
        change(scene, lambda content: content["frames"][3].update(mask_path="masks\\m.png"))
        source = read(scene)
        assert source.usable is not None
        assert source.usable[[0, 1, 2, 4, 5, 6]].all()
        expected = torch.from_numpy(mask > 0)
        assert (source.usable[3] & ~expected).sum() == 0
        assert (source.usable[3] ^ expected).float().mean() < 0.05
        assert (source.rgb[3] - torch.tensor([1.0, 0, 1])).abs().amax(-1).min() > 0.2, "nothing is left of it"

    @pytest.mark.parametrize("kind", ["colmap", "transforms.json"])
    @pytest.mark.parametrize("suffix", ["", ".png"])
    def test_masks_in_a_folder_of_their_own(self, scene: Path, cameras: Cameras, kind: str, suffix: str) -> None:
        """Nobody names them: they bear the pictures' names, or those with .png behind, as COLMAP has it."""
        if kind == "colmap":
            save_colmap(cameras, scene, [f"frame_{i:03d}.png" for i in range(len(cameras))])
            (scene / "transforms.json").unlink()
        (picture,) = (scene / "images").glob("*3.png")
        mask = np.full(SIZE[::-1], 255, np.uint8)
        mask[20:50, 40:90] = 0
        (scene / "masks").mkdir()
        Image.fromarray(mask).save(scene / "masks" / (picture.name + suffix))
        source = read(scene)
        assert source.usable is not None
        assert torch.equal(source.usable[3], torch.from_numpy(mask > 0))
        assert source.usable[[0, 1, 2, 4]].all()
        assert "1 masks were found in the folder masks: what is black in them is not used" in source.notes

    def test_a_mask_that_is_missing(self, scene: Path) -> None:
        change(scene, lambda content: content["frames"][3].update(mask_path="masks/none.png"))
        assert "there is no mask" in read(scene).notes[0]


class TestColmapProjects:
    def test_the_largest_of_several_models(self, scene: Path, cameras: Cameras) -> None:
        (scene / "transforms.json").unlink()
        names = [f"frame_{i:03d}.png" for i in range(7)]
        for model, chosen in enumerate(([0, 1], [0, 1, 2, 3, 4], [5, 6])):
            (scene / "sparse" / str(model)).mkdir(parents=True)
            save_colmap(cameras[chosen], scene / "sparse" / str(model), [names[i] for i in chosen])
        source = read(scene)
        shows_the_room(source, cameras[[0, 1, 2, 3, 4]])
        assert source.notes == ["COLMAP made 3 models of these pictures (0 with 2, 1 with 5, 2 with 2 images): 1 was taken"]

    @pytest.mark.parametrize("features", ["\n", "1.5 2.5 -1 3.5 4.5 12\n", ""])
    def test_lines_of_features_may_be_missing(self, scene: Path, cameras: Cameras, features: str) -> None:
        save_colmap(cameras, scene)
        lines = [line for line in (scene / "images.txt").read_text().splitlines() if line and not line.startswith("#")]
        (scene / "images.txt").write_text("# comment\n" + "".join(f"{line}\n{features}" for line in lines))
        assert len(read_colmap(scene / "images.txt").images) == 7

    def test_names_that_are_numbers(self, scene: Path, cameras: Cameras) -> None:
        save_colmap(cameras, scene, [str(i) for i in range(7)])
        text = (scene / "images.txt").read_text().replace("\n\n", "\n")
        (scene / "images.txt").write_text(text)
        assert read_colmap(scene / "images.txt").names == [str(i) for i in range(7)]

    def test_rigs_and_frames_of_newer_versions(self, scene: Path, cameras: Cameras) -> None:
        """COLMAP 3.12 writes them beside the images, which keep their whole poses."""
        (scene / "transforms.json").unlink()
        save_colmap(cameras, scene, [f"frame_{i:03d}.png" for i in range(7)])
        (scene / "rigs.txt").write_text("# Rig calib list\n1 2 CAMERA 1 CAMERA 2 1 1 0 0 0 0.1 0 0\n")
        (scene / "frames.txt").write_text("# Frame list\n1 1 1 0 0 0 0 0 0 2 CAMERA 1 1 CAMERA 2 2\n")
        shows_the_room(read(scene), cameras)


@pytest.mark.parametrize("kind", ["transforms.json", "COLMAP", "TUM"])
def test_a_world_whose_origin_is_far_away(tmp_path: Path, kind: str) -> None:
    """Surveyors' coordinates: float32 tells places apart by half a metre there. Relative to each other cameras stay exact."""
    here = there_and_back(8, *SIZE, sway=0.4)
    offset = torch.tensor([5e5, -4e6, 300.0], dtype=torch.float64)
    poses = rigid_inverse(require_rigid(here.world_to_cam, "exact in float64"))
    poses[:, :3, 3] += offset
    world_to_cam = rigid_inverse(poses)
    if kind == "transforms.json":
        frames = [{"transform_matrix": (pose * torch.tensor([1.0, -1, -1, 1])).tolist()} for pose in poses]
        (tmp_path / "p.json").write_text(json.dumps({"w": 128, "h": 72, "fl_x": 91.4, "frames": frames}))
        file = tmp_path / "p.json"
    else:
        quats = rotations_to_quats(world_to_cam[:, :3, :3] if kind == "COLMAP" else poses[:, :3, :3]).tolist()
        file = tmp_path / ("images.txt" if kind == "COLMAP" else "p.txt")
        lines = []
        for index, quat in enumerate(quats):
            if kind == "COLMAP":
                values = [*quat, *world_to_cam[index, :3, 3].tolist()]
                lines.append(f"{index + 1} " + " ".join(f"{value:.17g}" for value in values) + f" 1 {index}.png\n\n")
            else:
                values = [*poses[index, :3, 3].tolist(), *quat[1:], quat[0]]
                lines.append(f"{index} " + " ".join(f"{value:.17g}" for value in values) + "\n")
        file.write_text("".join(lines))
    far = load_path(file, width=128, height=72, fov_x_degrees=70.0)
    moved = relative_to(far, far[0])
    assert moved.world_to_cam.dtype == torch.float32
    torch.testing.assert_close(moved.world_to_cam, relative_to(here, here[0]).world_to_cam, atol=1e-5, rtol=0)
