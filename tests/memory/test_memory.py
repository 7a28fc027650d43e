from dataclasses import replace

import numpy as np
import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import Rendering
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session, save_session
from splatmem.memory.spatial_memory import VISIBLE_EXTENT
from splatmem.metrics import psnr
from splatmem.pixels import to_uint8
from splatmem.render.blending import BlendingWeights

from gsplat_on_cpu import kernels_in_torch
from pretend_device import pretended
from textured_room import room, turn


@pytest.fixture
def memory(room_turn, room_frames) -> SpatialMemory:
    rgb, depth = room_frames
    made = SpatialMemory()
    made.write(rgb[0], depth[0], room_turn[0], torch.ones_like(depth[0], dtype=torch.bool))
    made.refine(25)
    return made


def test_first_view_reads_back(memory, room_turn, room_frames):
    reading = memory.read(room_turn[0])
    assert psnr(reading.rgb[0], room_frames[0][0]) > 32
    assert reading.known.float().mean() > 0.99
    assert ((reading.depth[0] / room_frames[1][0]) - 1).abs().median() < 0.01


def test_flat_pictures_need_far_fewer_gaussians_than_pixels(memory, room_turn, room_frames):
    flat = SpatialMemory()
    everything = torch.ones(72, 128, dtype=torch.bool)
    flat.write(torch.full((72, 128, 3), 0.4), room_frames[1][0], room_turn[0], everything)
    assert len(flat.gaussians) < 0.2 * 128 * 72
    assert len(memory.gaussians) <= 128 * 72
    assert flat.read(room_turn[0]).known.float().mean() > 0.98


def test_what_was_unknown_and_is_left_out_is_nothing_that_must_be_kept(memory, room_turn, room_frames, monkeypatch):
    unknown = ~memory.read(room_turn[3]).known[0]
    rows = torch.arange(72)[:, None].expand(72, 128) < 36

    def only_above(depth, camera, unknown, space):
        return depth, rows

    monkeypatch.setattr("splatmem.memory.spatial_memory.push_out_of_free_space", only_above)
    report = memory.write(room_frames[0][3], room_frames[1][3], room_turn[3], unknown)
    assert report.left_out > 100
    assert torch.equal(memory.views[-1].written, unknown)


def test_what_was_never_seen_is_unknown(memory, room_turn):
    assert memory.read(room_turn[12]).known.float().mean() < 0.01


def test_a_film_shows_what_a_reading_knows(memory, room_turn):
    cameras = room_turn[[0, 1, 3]]
    reading, (rgb, known) = memory.read(cameras), memory.film(cameras)
    assert torch.equal(known, reading.known)
    torch.testing.assert_close(rgb[known], reading.rgb[known], atol=1e-5, rtol=0)


def test_bytes_of_a_film_are_rounded_where_the_memory_lies(memory, room_turn):
    cameras = room_turn[[0, 1]]
    (rgb, known), (frames, also_known) = memory.film(cameras), memory.film_bytes(cameras)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, to_uint8(rgb))
    assert torch.equal(known, also_known)
    with pretended("cuda") as device, kernels_in_torch():
        there = memory.to("cuda")
        device.brought_bytes = 0
        there.film(cameras)
        as_floats, device.brought_bytes = device.brought_bytes, 0
        there.film_bytes(cameras)
        assert as_floats - device.brought_bytes == 3 * 3 * known.numel(), "one byte for each four"


def test_second_write_leaves_what_was_known(memory, room_turn, room_frames):
    before = memory.read(room_turn[0])
    side = memory.read(room_turn[3])
    unknown = ~side.known[0]
    assert 0.2 < unknown.float().mean() < 0.95
    frame = torch.where(unknown[..., None], room_frames[0][3], side.rgb[0])
    report = memory.write(frame, room_frames[1][3], room_turn[3], unknown)
    memory.refine(5)
    after = memory.read(room_turn[0])
    assert report.added > 0
    assert psnr(after.rgb[0], before.rgb[0], before.known[0]) > 40
    assert memory.read(room_turn[3]).known.float().mean() > 0.97
    assert min(memory.retention_psnr()) > 35


def test_nothing_is_written_where_a_camera_will_stand(memory, room_turn, room_frames):
    rgb, depth, unknown = room_frames[0][3], room_frames[1][3], ~memory.read(room_turn[3]).known[0]
    on_the_wall = room_turn[3].moved(ahead=0.98 * float(depth[36, 64]))
    ahead = memory.free_space().bodies_ahead(on_the_wall)
    reached = []
    for kept_free in (None, ahead):
        written = replace(memory)
        written.write(rgb, depth, room_turn[3], unknown, ahead=kept_free)
        new = written.gaussians.select(slice(*written.views[-1].gaussians))
        reached.append(int(ahead.reached(new.means, VISIBLE_EXTENT * new.scales.amax(1)).sum()))
    assert reached[0] > 0
    assert reached[1] == 0


def test_back_of_a_surface_reads_unknown(memory):
    # From behind the far wall, looking back into the room.
    pose = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))[None].clone()
    pose[0, 2, 3] = 6.0
    behind = Cameras.from_fov(pose, 60, 128, 72)
    reading = memory.read(behind)
    assert (reading.alpha[0] > 0.6).float().mean() > 0.3, "the wall must be in the picture for this to mean something"
    assert reading.known.float().mean() < 0.02


def test_new_surfaces_do_not_hang_in_seen_space(memory, room_turn, room_frames):
    side = memory.read(room_turn[2])
    unknown = ~side.known[0]
    memory.write(room_frames[0][2], torch.full_like(room_frames[1][2], 0.4), room_turn[2], unknown)
    photo = memory.read(room_turn[0])
    assert psnr(photo.rgb[0], room_frames[0][0]) > 28


@pytest.mark.breaks_annotations
def test_failed_write_changes_nothing(memory, room_turn, room_frames):
    count, views = len(memory.gaussians), len(memory.views)
    with pytest.raises(ValueError, match="size"):
        memory.write(room_frames[0][1][:40], room_frames[1][1], room_turn[1], torch.ones(72, 128, dtype=torch.bool))
    assert (len(memory.gaussians), len(memory.views)) == (count, views)


def test_free_space(memory):
    points = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 3.4], [0.0, 0.0, 9.0], [0.0, 0.0, -40.0]])
    assert memory.is_free(points).tolist() == [True, False, False, False]


def test_trust_falls_where_the_memory_is_magnified(memory, room_turn):
    pose = torch.eye(4)[None].clone()
    pose[0, 2, 3] = 2.8
    near = memory.read(Cameras.from_fov(pose, 70, 128, 72))
    assert near.trust[near.known].mean() < 0.7 * memory.read(room_turn[0]).trust.mean()


def test_room_is_closed():
    reading = room().render(turn(7))
    assert torch.isfinite(reading.depth).all()
    assert reading.position.abs().amax(-1).sub(1).abs().max() < 1e-4


class TestDevices:
    """The device ``meta`` stands for a GPU: it holds no numbers, but mixing it with main memory is an error."""

    @staticmethod
    def drawn_on(device: str):
        """A rasterizer that insists on where its inputs lie, and draws grey there."""

        def rasterize(gaussians, cameras, *, extra=None, backfacing=False):
            for tensor in (gaussians.means, gaussians.sh, cameras.world_to_cam, cameras.intrinsics, extra):
                assert tensor is None or tensor.device.type == device
            size, like = (len(cameras), cameras.height, cameras.width), gaussians.sh.sum() + gaussians.opacity_logits.sum()
            channels = 0 if extra is None else extra.shape[-1]
            return Rendering(
                *(like + torch.zeros(*size, *more, device=device) for more in ((3,), (), ())),
                None if extra is None else torch.zeros(*size, channels, device=device),
                torch.zeros(*size, device=device) if backfacing else None,
            )

        return rasterize

    def test_gaussians_lie_on_the_device_and_pictures_in_main_memory(self, monkeypatch, room_turn, room_frames):
        class Weights(BlendingWeights):
            """As blending weights, on numbers that nobody looks at."""

            def __init__(self, means, quats, scales, opacities, viewmat, K, width, height, *, chosen, channels, colours):
                assert {t.device.type for t in (means, quats, scales, opacities, viewmat, K, colours)} == {"meta"}
                self.shapes = (height, width, channels), (chosen[1] - chosen[0], channels)
                self.drawn = means.new_zeros(height, width, channels), means.new_zeros(height, width)

            def blend(self, values):
                assert values.shape == self.shapes[1]
                return values.new_zeros(self.shapes[0])

            def sum(self, picture=None):
                assert picture is None or picture.shape == self.shapes[0]
                return self.drawn[0].new_zeros(self.shapes[1])

        monkeypatch.setattr("splatmem.gaussians.refine.BlendingWeights", Weights)
        rgb, depth = room_frames
        memory = SpatialMemory(Gaussians.empty("meta"))
        memory.write(rgb[0], depth[0], room_turn[0], torch.ones_like(depth[0], dtype=torch.bool))
        memory.refine(2)
        assert memory.device.type == memory.gaussians.means.device.type == "meta"
        assert len(memory.gaussians) > 1000
        view = memory.views[0]
        assert {t.device.type for t in (view.rgb, view.depth, view.written, view.camera.world_to_cam)} == {"cpu"}

    def test_a_reading_is_drawn_on_the_device(self, monkeypatch, memory, room_turn):
        moved = memory.to("meta")
        assert memory.device.type == "cpu"
        monkeypatch.setattr("splatmem.memory.visibility.rasterize", self.drawn_on("meta"))
        # Gaps are found by numbers.
        monkeypatch.setattr("splatmem.memory.spatial_memory.shown_colours", lambda rgb, alpha, known: rgb)
        with pytest.raises(NotImplementedError, match="meta"):  # where it is brought back, which only a real device can
            moved.read(room_turn[0])


def test_gravity_is_found_in_the_first_view_and_kept(memory, room_turn, room_frames, tmp_path, monkeypatch):
    assert SpatialMemory().down is None
    assert memory.down is not None
    assert memory.down.norm().item() == pytest.approx(1, abs=1e-5)
    save_session(memory, tmp_path / "memory")
    assert torch.equal(load_session(tmp_path / "memory")[0].down, memory.down)

    def again(*_):
        raise AssertionError("estimated again")

    monkeypatch.setattr("splatmem.memory.spatial_memory.down_in_world", again)
    assert torch.equal(memory.as_given().down, memory.down)
    given = SpatialMemory(down=torch.tensor([0.0, 0.6, 0.8]))
    given.write(room_frames[0][0], room_frames[1][0], room_turn[0], torch.ones(72, 128, dtype=torch.bool))
    assert given.down.tolist() == pytest.approx([0.0, 0.6, 0.8])
