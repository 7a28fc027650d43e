"""Training windows for the embedded inpainter, from clips of a room whose truth is known."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from splatmem.geometry.cameras import Cameras

from textured_room import room, turn

TOOL = Path(__file__).parents[2] / "tools" / "prepare_windows.py"
WIDTH, HEIGHT, VIEWS = 64, 36, 12  # of the windows; clips are twice as large
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL's camera axes from OpenCV's


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_windows", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def views() -> Cameras:
    return turn(VIEWS, 2 * WIDTH, 2 * HEIGHT)


@pytest.fixture(scope="module")
def folder(views: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip: a full turn in the room. The world is moved and turned: windows must not depend on it."""
    folder = tmp_path_factory.mktemp("clips")
    reading = room().render(views)
    elsewhere = np.eye(4)
    elsewhere[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    elsewhere[:3, 3] = (5, -3, 8)
    np.savez(
        folder / "clip_0.npz",
        rgb=(reading.rgb * 255).round().byte().numpy(),
        depth_mm=(reading.depth * 1000).round().numpy().astype(np.uint16),
        c2w=elsewhere @ views.cam_to_world.double().numpy() @ FLIP,
        fovx=70.0,
        kind="pan360",
    )
    return folder


@pytest.fixture(scope="module")
def clip(tool: ModuleType, folder: Path):
    return tool.load_clip(folder / "clip_0.npz", 2 * WIDTH)


def options(tool: ModuleType, folder: Path, out: Path, **changes):
    return tool.Options(clips=folder, out=out, width=WIDTH, height=HEIGHT, **changes)


class TestClips:
    def test_cameras_are_opencv_s_and_begin_at_the_identity(self, clip, views: Cameras) -> None:
        torch.testing.assert_close(clip.cameras.world_to_cam, views.world_to_cam, atol=1e-5, rtol=0)
        torch.testing.assert_close(clip.cameras.intrinsics, views.intrinsics)

    def test_depth_is_in_metres_and_sky_is_far(self, tool: ModuleType, folder: Path, tmp_path: Path) -> None:
        with np.load(folder / "clip_0.npz") as data:
            arrays = dict(data)
        truth = arrays["depth_mm"][0, 10, 10] / 1000
        arrays["depth_mm"][:, :4] = 0
        np.savez(tmp_path / "sky.npz", **arrays)
        clip = tool.load_clip(tmp_path / "sky.npz", 2 * WIDTH)
        assert (clip.depth[:, :4] == tool.FAR_DEPTH).all()
        assert clip.depth[0, 10, 10].item() == pytest.approx(truth, abs=1e-3)

    def test_at_half_the_size_points_stay_where_they_are(self, tool: ModuleType, folder: Path) -> None:
        small = tool.load_clip(folder / "clip_0.npz", WIDTH)
        assert small.rgb.shape == (VIEWS, HEIGHT, WIDTH, 3)
        true = room().render(turn(VIEWS, WIDTH, HEIGHT))
        assert ((small.depth / true.depth) - 1).abs().median() < 0.01
        assert (small.rgb - true.rgb).abs().mean() < 0.02


class TestChoice:
    @pytest.mark.parametrize("kind", ["pan360", "orbit"])
    def test_the_future_is_not_in_the_memory(self, tool: ModuleType, clip, kind: str) -> None:
        clip = tool.Clip(clip.rgb, clip.depth, clip.cameras, kind)
        lengths = set()
        for seed in range(60):
            sources, targets = tool.choose_views(clip, 4, np.random.default_rng(seed))
            assert len(targets) == 4
            assert sources
            assert not set(sources) & set(targets)
            assert set(sources) | set(targets) <= set(range(VIEWS))
            lengths.add(len(sources))
        assert 1 in lengths, "often only the photo is known"
        assert len(lengths) > 1

    def test_a_turn_goes_on_where_the_seen_ends(self, tool: ModuleType, clip) -> None:
        for seed in range(20):
            sources, targets = tool.choose_views(clip, 4, np.random.default_rng(seed))
            way = [*sources, *targets]
            steps = {(b - a) % VIEWS for a, b in itertools.pairwise(way)}
            assert steps in ({1}, {VIEWS - 1})


class TestSplatting:
    def test_known_pixels_show_the_truth(self, tool: ModuleType, clip) -> None:
        seen = clip.cameras[[0, 1, 2]]
        points = seen.unproject(clip.depth[:3]).reshape(-1, 3)
        rgb, depth, known = tool.splat(points, clip.rgb[:3].reshape(-1, 3), clip.cameras[[1, 4]].resized(WIDTH, HEIGHT))
        true = room().render(clip.cameras[[1, 4]].resized(WIDTH, HEIGHT))
        assert known[0].float().mean() > 0.97, "seen before: all of it"
        assert 0.05 < known[1].float().mean() < 0.7, "turned away: a part of it"
        assert (rgb - true.rgb)[known].abs().mean() < 0.03
        assert (depth / true.depth - 1)[known].abs().mean() < 0.03

    def test_nothing_of_the_truth_leaks_where_nothing_was_seen(self, tool: ModuleType, clip) -> None:
        points = clip.cameras[[0]].unproject(clip.depth[:1]).reshape(-1, 3)
        opposite = clip.cameras[[VIEWS // 2]].resized(WIDTH, HEIGHT)
        rgb, depth, known = tool.splat(points, clip.rgb[0].reshape(-1, 3), opposite)
        assert not known.any()
        assert (rgb == 0).all()
        assert (depth == 0).all()

    def test_the_nearer_surface_hides_the_farther(self, tool: ModuleType) -> None:
        camera = Cameras.from_fov(torch.eye(4)[None], 60, WIDTH, HEIGHT)
        fine = camera.resized(2 * WIDTH, 2 * HEIGHT)
        layers = [fine.unproject(torch.full((1, 2 * HEIGHT, 2 * WIDTH), z)).reshape(-1, 3) for z in (3.0, 1.0)]
        red, green = torch.eye(3)[0], torch.eye(3)[1]
        colours = torch.cat([red.expand(len(layers[0]), 3), green.expand(len(layers[1]), 3)])
        rgb, depth, known = tool.splat(torch.cat(layers), colours, camera)
        assert known.all()
        torch.testing.assert_close(depth, torch.ones_like(depth))
        torch.testing.assert_close(rgb[0, 5, 5], green)

    def test_sparse_points_leave_no_cracks(self, tool: ModuleType) -> None:
        """A surface approached to two thirds: its points are 1.5 pixels apart."""
        camera = Cameras.from_fov(torch.eye(4)[None], 60, WIDTH, HEIGHT)
        points = camera.resized(2 * WIDTH, 2 * HEIGHT).unproject(torch.full((1, 2 * HEIGHT, 2 * WIDTH), 3.0)).reshape(-1, 3)
        _, _, known = tool.splat(points - torch.tensor([0.0, 0.0, 1.0]), torch.ones(len(points), 3), camera)
        assert known.float().mean() > 0.99


class TestWindows:
    KEYS = (
        *("rgb", "depth", "partial_rgb", "partial_depth", "known", "proposal_rgb", "proposal_depth"),
        *("covered", "place"),
    )

    @pytest.fixture(scope="class")
    def window(self, tool: ModuleType, clip, folder: Path, tmp_path_factory: pytest.TempPathFactory):
        settings = options(tool, folder, tmp_path_factory.mktemp("out"))
        made = (tool.make_window(clip, settings, np.random.default_rng(seed)) for seed in range(20))
        return next(window for window in made if window is not None and window["known"].mean() < 0.5)

    def test_parts_fit_together(self, window) -> None:
        assert set(window) == set(self.KEYS)
        for name, values in window.items():
            assert values.shape[:3] == (4, HEIGHT, WIDTH), name
        known = window["known"]
        difference = np.abs(window["rgb"].astype(float) - window["partial_rgb"])[known]
        assert difference.mean() < 8
        relative = np.abs(window["partial_depth"].astype(float) / window["depth"].astype(float) - 1)[known]
        assert relative.mean() < 0.03
        norm = np.linalg.norm(window["place"][..., 3:].astype(float) / 127, axis=-1)
        np.testing.assert_allclose(norm, 1, atol=0.02)

    def test_the_proposal_is_whole_and_near_the_truth(self, window) -> None:
        depth = window["proposal_depth"].astype(float)
        assert np.isfinite(depth).all()
        assert (depth > 0).all()
        unknown = ~window["known"]
        relative = np.abs(depth / window["depth"].astype(float) - 1)[unknown]
        assert np.median(relative) < 0.45, "the walls that were seen, mirrored"
        assert window["covered"][window["known"]].all()
        assert window["covered"][unknown].mean() > 0.5

    def test_windows_with_little_to_make_are_left_out(self, tool: ModuleType, clip, folder: Path, tmp_path: Path) -> None:
        still = clip.cameras[[0] * VIEWS]
        same = tool.Clip(clip.rgb[[0] * VIEWS], clip.depth[[0] * VIEWS], still, "orbit")
        assert tool.make_window(same, options(tool, folder, tmp_path), np.random.default_rng(0)) is None


class TestShards:
    def test_the_same_seed_gives_the_same_shard(self, tool: ModuleType, folder: Path, tmp_path: Path) -> None:
        contents = []
        for name in ("a", "b"):
            out = tmp_path / name
            tool.main(options(tool, folder, out))
            (shard,) = out.iterdir()
            assert shard.name == "shard_0000.npz"
            with np.load(shard) as data:
                contents.append({key: data[key] for key in data.files})
        assert set(contents[0]) == set(TestWindows.KEYS)
        assert len(contents[0]["rgb"]) >= 3
        for key, values in contents[0].items():
            np.testing.assert_array_equal(values, contents[1][key])

    def test_a_broken_clip_is_named_and_skipped(self, tool: ModuleType, folder: Path, tmp_path: Path, capsys) -> None:
        clips = tmp_path / "clips"
        clips.mkdir()
        (clips / "clip_0.npz").write_bytes((folder / "clip_0.npz").read_bytes())
        (clips / "clip_1.npz").write_bytes((folder / "clip_0.npz").read_bytes()[:3000])
        np.savez(clips / "clip_2.npz", rgb=np.zeros((2, 4, 4, 3), np.uint8))
        tool.main(options(tool, clips, tmp_path / "out"))
        said = capsys.readouterr().out
        assert "skipped clip_1.npz" in said
        assert "skipped clip_2.npz" in said
        assert "clip_0" not in said
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["shard_0000.npz"]
