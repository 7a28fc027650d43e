"""Whatever is wrong with what a user gives: one clear line, exit status 2, and nothing half-written."""

from __future__ import annotations

import json
import math
import shutil
import struct
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from splatmem import assets
from splatmem.io.ownership import make_marked
from splatmem.io.ply import load_ply

from disks import read_only_folder
from forked_commands import PHOTO, SMALL_RUN, ForkedCommands

HEADER_ONLY_PIXELS = 20_000


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(f.relative_to(folder)): (f.stat().st_size, f.stat().st_mtime_ns) for f in folder.rglob("*")}


class Refused:
    """Runs a command that must be refused, in a folder that must be left as it was."""

    def __init__(self, splatmem: ForkedCommands, folder: Path) -> None:
        self.splatmem, self.folder = splatmem, folder

    def __call__(self, *arguments: object, installation: Path | None = None) -> str:
        before = listing(self.folder)
        ended = self.splatmem(*arguments, installation=installation)
        assert ended.status == 2, ended.err
        assert listing(self.folder) == before
        assert ended.out == ""
        return ended.error

    def flyaround(self, *options: object, photo: Path = PHOTO, out: Path | None = None, **more) -> str:
        return self("flyaround", photo, "--out", out or self.folder / "out", *SMALL_RUN, *options, **more)


@pytest.fixture
def refused(splatmem: ForkedCommands, tmp_path: Path) -> Refused:
    return Refused(splatmem, tmp_path)


class TestPhotos:
    def test_not_an_image(self, refused: Refused) -> None:
        photo = refused.folder / "letter.jpg"
        photo.write_text("Dear Sir or Madam")
        assert "letter.jpg cannot be read as a picture" in refused.flyaround(photo=photo)

    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_truncated(self, refused: Refused, suffix: str) -> None:
        whole, photo = refused.folder / f"whole{suffix}", refused.folder / f"half{suffix}"
        Image.open(PHOTO).resize((320, 180)).save(whole)
        photo.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        assert f"half{suffix} cannot be read as a picture" in refused.flyaround(photo=photo)

    def test_one_pixel(self, refused: Refused) -> None:
        Image.new("RGB", (1, 1)).save(refused.folder / "dot.png")
        assert "dot.png has 1x1 pixels: at least 16" in refused.flyaround(photo=refused.folder / "dot.png")

    def test_four_hundred_megapixels(self, refused: Refused) -> None:
        """Only the header says so: a file of a few hundred bytes must not fill the memory."""
        chunks = [(b"IHDR", struct.pack(">IIBBBBB", HEADER_ONLY_PIXELS, HEADER_ONLY_PIXELS, 8, 2, 0, 0, 0))]
        chunks += [(b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
        packed = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks]
        (refused.folder / "wall.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
        error = refused.flyaround(photo=refused.folder / "wall.png")
        assert "wall.png" in error
        assert "has 400 megapixels: scale it below" in error

    def test_missing_or_a_folder(self, refused: Refused) -> None:
        assert "there is no photo" in refused.flyaround(photo=refused.folder / "nothing.jpg")
        error = refused.flyaround(photo=refused.folder)
        assert "is a folder without posed pictures" in error
        assert "splatmem batch" in error


class TestBeginnings:
    """Without a photo, and with what is not enough of one."""

    def start(self, refused: Refused, *arguments: object) -> str:
        return refused("flyaround", "--out", refused.folder / "out", *arguments, *SMALL_RUN)

    def test_nothing(self, refused: Refused) -> None:
        error = "nothing to begin with: give a photo, a folder of posed pictures, or --prompt with words"
        assert error in self.start(refused)
        assert error in self.start(refused, "--prompt", " ")
        error = "--poses are those of a video: give the video too"
        assert error in self.start(refused, "--prompt", "a room", "--poses", refused.folder / "poses.json")

    def test_words_for_a_preset_without_a_model_for_them(self, refused: Refused) -> None:
        error = self.start(refused, "--prompt", "a kitchen")
        assert "the preset embedded makes no pictures from words: give a photo, another --preset (flux-depth, flux-" in error
        assert ", sdxl-inpaint, " in error
        assert "--set first_frame.model=DIR_OR_ID" in error

    def test_words_for_a_model_that_is_not_here(self, refused: Refused) -> None:
        error = self.start(refused, "--prompt", "a kitchen", "--set", f"first_frame.model={refused.folder}")
        assert "the text-to-image model in" in error
        assert "nor a config.json" in error

    def test_a_video_needs_poses_for_each_of_its_frames(self, refused: Refused, small_run: Path) -> None:
        video, cameras = small_run / "video.mp4", small_run / "cameras.json"
        assert "video.mp4 is a video: give --poses FILE" in self.start(refused, video)
        assert "none.json: there is no such file" in self.start(refused, video, "--poses", refused.folder / "none.json")
        (refused.folder / "few.json").write_text(transforms(IDENTITY, IDENTITY))
        error = self.start(refused, video, "--poses", refused.folder / "few.json")
        assert "few.json holds 2 cameras, but" in error
        assert "expected a video, but it cannot be read" in self.start(
            refused, PHOTO.parent.parent / "LICENSES.md", "--poses", cameras
        )

    def test_poses_of_what_is_no_video(self, refused: Refused) -> None:
        error = "is a picture: --poses are those of a video"
        assert error in self.start(refused, PHOTO, "--poses", refused.folder / "poses.json")
        error = "is a folder, whose cameras lie in it: --poses are those of a video"
        assert error in self.start(refused, refused.folder, "--poses", refused.folder / "poses.json")

    def test_posed_pictures_that_are_missing(self, refused: Refused) -> None:
        content = json.dumps({"frames": [{"transform_matrix": IDENTITY, "file_path": "images/1.png"}]})
        (refused.folder / "scene").mkdir()
        (refused.folder / "scene" / "transforms.json").write_text(content)
        assert "frame 0: there is no picture" in self.start(refused, refused.folder / "scene")


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--preset", "embeded"], "unknown preset 'embeded' (did you mean 'embedded'?); there are: "),
            (["--preset", "../embedded"], "unknown preset"),
            (["--set", "inpainter.step=3"], "did you mean 'steps'"),
            (["--set", "inpainter.steps=3", "--set", "depth.model=7"], "model must be text"),
            (["--size", "512"], "a size is WIDTHxHEIGHT in pixels, such as 512x288, got '512'"),
            (["--size", "511x287"], "sides are even, 64 to 4096 pixels long"),
            (["--size", "32x32"], "64 to 4096"),
            (["--size", "0x0"], "64 to 4096"),
            (["--size", "8000x4000"], "64 to 4096"),
            (["--size", "2048x64"], "at most 5:1"),
            (["--frames", "1"], "a film has 2 to 10000 frames, got 1"),
            (["--frames", "1000000"], "2 to 10000"),
            (["--fps", "0"], "frames per second lie in 1..240, got 0"),
            (["--fov", "wide"], "--fov is auto or 10 to 150 degrees, got 'wide'"),
            (["--fov", "nan"], "10 to 150"),
            (["--path", "trun"], "unknown path 'trun' (did you mean 'turn'?): neither a preset (turn, orbit"),
            (["--resume"], "nothing to resume: there is no interrupted run"),
            (["--resume", "--overwrite"], "exclude each other"),
        ],
    )
    def test_refused(self, refused: Refused, options: list[str], words: str) -> None:
        assert words in refused.flyaround(*options)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
    def test_cuda_without_cuda(self, refused: Refused) -> None:
        assert "--device cuda: this PyTorch sees no CUDA device" in refused.flyaround("--device", "cuda")

    def test_unknown_options_are_named(self, splatmem: ForkedCommands, tmp_path: Path) -> None:
        ended = splatmem("flyaround", PHOTO, "--out", tmp_path / "out", "--frams", "3")
        assert ended.status == 2
        assert "--frams" in ended.err
        assert list(tmp_path.iterdir()) == []


IDENTITY = [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]
SCALED = [[2, 0, 0, 0], [0, -2, 0, 0], [0, 0, -2, 0], [0, 0, 0, 1]]
NAN = [[math.nan, 0, 0, 0], *IDENTITY[1:]]


def transforms(*poses: list) -> str:
    return json.dumps({"frames": [{"transform_matrix": pose} for pose in poses]})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.json", "", "the path file is empty"),
        ("broken.json", "{", "expected JSON"),
        ("none.json", transforms(), "not empty"),
        ("nan.json", transforms(IDENTITY, NAN), "finite numbers"),
        ("scaled.json", transforms(IDENTITY, SCALED), "not rigid"),
        ("single.json", transforms(IDENTITY), "at least two cameras, the file holds 1"),
        ("broken.yaml", "keyframes: [", "expected YAML"),
        ("single.yaml", "keyframes: [{position: [0, 0, 0], look_at: [0, 0, 1]}]", "at least two keyframes"),
        ("words.txt", "once upon a time\n", "words.txt"),
        ("table.csv", "1,2,3\n", "not a kind of path file that is known"),
        ("noise.json", "\x00\x01\x02", "expected JSON"),
    ],
)
def test_path_files(refused: Refused, name: str, content: str, words: str) -> None:
    file = refused.folder / name
    file.write_text(content)
    error = refused.flyaround("--path", file)
    assert words in error
    assert name in error


class TestFolders:
    def test_not_empty(self, refused: Refused) -> None:
        (refused.folder / "mine.txt").write_text("keep")
        assert "is not empty: choose another folder, or give --overwrite" in refused.flyaround(out=refused.folder)

    def test_a_file(self, refused: Refused) -> None:
        (refused.folder / "mine.txt").write_text("keep")
        assert "mine.txt is a file: --out names the folder" in refused.flyaround(out=refused.folder / "mine.txt")

    def test_not_empty_and_not_a_run(self, refused: Refused) -> None:
        (refused.folder / "mine.txt").write_text("keep")
        assert "files that are not a finished run" in refused.flyaround("--overwrite", out=refused.folder)

    def test_an_interrupted_run_is_not_lost(self, refused: Refused) -> None:
        make_marked(refused.folder / "out.partial", "run")
        error = refused.flyaround()
        assert "holds an interrupted run: give --resume to continue it" in error
        assert error.count("--resume") == 1

    @pytest.mark.parametrize("options", [(), ("--overwrite",), ("--resume",)])
    def test_another_s_folder_where_it_would_be_made(self, refused: Refused, options: tuple[str, ...]) -> None:
        (refused.folder / "out.partial").mkdir()
        (refused.folder / "out.partial" / "mine.txt").write_text("keep")
        error = refused.flyaround(*options)
        assert "out.partial" in error
        assert "is in the way and was not made by splatmem" in error or "nothing to resume" in error

    def test_a_file_in_the_way(self, refused: Refused) -> None:
        (refused.folder / "file").write_text("")
        assert "cannot write into the folder" in refused.flyaround(out=refused.folder / "file" / "out")
        assert str(refused.folder / "file") in refused.flyaround(out=refused.folder / "file")

    def test_unwritable(self, splatmem: ForkedCommands, tmp_path: Path) -> None:
        with read_only_folder(tmp_path / "sealed") as sealed:
            error = Refused(splatmem, sealed).flyaround()
            assert f"cannot write into the folder {sealed}" in error
            assert "choose a folder that you may write to" in error


class TestInstallation:
    @pytest.fixture
    def installation(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """What the package brings with it, to be damaged."""
        root = tmp_path_factory.mktemp("installation")
        shutil.copytree(assets.path("models"), root / "assets" / "models")
        shutil.copytree(assets.configs(), root / "configs")
        return root

    @pytest.mark.parametrize("model", ["inpaint-places", "depth-small"])
    def test_no_models(self, refused: Refused, installation: Path, model: str) -> None:
        shutil.rmtree(installation / "assets" / "models" / model)
        error = refused.flyaround(installation=installation)
        assert f"assets/models/{model} is missing from this installation" in error

    @pytest.mark.parametrize("model", ["inpaint-places", "depth-small"])
    @pytest.mark.parametrize("damage", ["missing", "truncated"])
    def test_no_weights(self, refused: Refused, installation: Path, model: str, damage: str) -> None:
        (weights,) = (installation / "assets" / "models" / model).rglob("model.safetensors")
        if damage == "missing":
            weights.unlink()
        else:
            weights.write_bytes(weights.read_bytes()[:10_000])
        assert model in refused.flyaround(installation=installation)


class TestSessions:
    """Of a finished run, by the commands that use one."""

    @pytest.fixture
    def scene(self, small_run: Path, refused: Refused) -> Path:
        return shutil.copytree(small_run, refused.folder / "scene")

    def refuse_all(self, refused: Refused, scene: Path) -> set[str]:
        errors = [
            refused("render", scene, "--out", refused.folder / "v.mp4"),
            refused("export", scene, refused.folder / "s.ply"),
            refused("inspect", scene, "--screenshot", refused.folder / "p.png"),
        ]
        return set(errors)

    @pytest.mark.parametrize("name", ["part-00000.safetensors", "part-00001.safetensors", "session.json"])
    @pytest.mark.parametrize("damage", ["missing", "truncated"])
    def test_damaged(self, refused: Refused, scene: Path, name: str, damage: str) -> None:
        file = scene / "memory" / name
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-100])
        (error,) = self.refuse_all(refused, scene)
        if (name, damage) == ("session.json", "missing"):
            assert "there is no session in" in error
        else:
            assert "the session is damaged" in error
            assert f"memory/{name}" in error
        assert len(load_ply(scene / "scene.ply")) > 0, "the scene itself is still there"

    def test_one_flipped_bit_is_noticed(self, refused: Refused, scene: Path) -> None:
        file = scene / "memory" / "part-00000.safetensors"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        assert "part-00000.safetensors" in refused("export", scene, refused.folder / "s.ply")

    def test_the_older_snapshot_is_used(self, splatmem: ForkedCommands, scene: Path, tmp_path: Path) -> None:
        shutil.copy(scene / "memory" / "session.json", scene / "memory" / "session.previous.json")
        (scene / "memory" / "session.json").write_text("{}")
        ended = splatmem("export", scene, tmp_path / "s.ply")
        assert ended.status == 0
        assert "warning: the session is damaged" in ended.err
        assert "the state before it is used" in ended.err
        assert (tmp_path / "s.ply").read_bytes() == (scene / "scene.ply").read_bytes()

    def test_from_a_newer_version(self, refused: Refused, scene: Path) -> None:
        index = scene / "memory" / "session.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), "version": 99}))
        (error,) = self.refuse_all(refused, scene)
        assert "was written by a newer splatmem (session version 99" in error

    def test_not_a_scene(self, refused: Refused) -> None:
        (error,) = self.refuse_all(refused, refused.folder)
        assert "there is no session in" in error
        assert "expected a scene's folder, or a file of splats" in refused("export", PHOTO, refused.folder / "s.ply")

    def test_targets(self, refused: Refused, scene: Path) -> None:
        existing = refused.folder / "s.ply"
        existing.write_text("mine")
        assert "exists: choose another name, or give --overwrite" in refused("export", scene, existing)
        assert "expected a name that ends in .mp4" in refused("render", scene, "--out", refused.folder / "v.avi")
        assert "does not exist" in refused("render", scene, "--out", refused.folder / "no" / "v.mp4")
        assert "64 to 4096" in refused("render", scene, "--out", refused.folder / "v.mp4", "--size", "20x20")

    @pytest.mark.parametrize(
        "content", [b"", b"ply\nformat ascii 1.0\nend_header\n", bytes(100)], ids=["empty", "bare", "zeros"]
    )
    def test_other_files_as_a_scene(self, refused: Refused, content: bytes) -> None:
        (refused.folder / "s.ply").write_bytes(content)
        assert "s.ply" in refused("inspect", refused.folder / "s.ply", "--screenshot", refused.folder / "p.png")
