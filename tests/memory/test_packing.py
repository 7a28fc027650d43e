"""What is packed is read back to the bit, and what is no packed tensor is refused."""

from __future__ import annotations

import pytest
import torch
from splatmem.memory import SpatialMemory
from splatmem.memory.packing import packed, unpacked
from splatmem.memory.session import SessionStore, load_session
from torch import Tensor

from textured_room import room, turn

SOME = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(50, 3, generator=SOME),
        torch.randn(7, generator=SOME),
        torch.randn(5, 1, 3, generator=SOME).half(),
        torch.rand(9, 13, generator=SOME) > 0.5,
        torch.randint(0, 256, (12, 20, 3), generator=SOME).to(torch.uint8),
        torch.randint(0, 256, (12, 20), generator=SOME).to(torch.uint8),
        torch.randint(-9, 9, (4, 5), generator=SOME).to(torch.int16),
        torch.tensor([3, 2**40]),
        torch.full((3, 4), torch.inf),
        torch.zeros(0, 3),
    ],
    ids=lambda tensor: f"{tensor.dtype}{list(tensor.shape)}",
)
def test_it_is_read_back_to_the_bit(tensor: Tensor) -> None:
    back = unpacked(*packed(tensor))
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


def test_smooth_pictures_and_depths_take_little_room() -> None:
    seen = room().render(turn(4, 192, 128)[0])
    depth = (seen.depth[0] * 64).round() / 64
    assert len(packed(depth)[0]) < 0.25 * depth.nbytes


@pytest.mark.parametrize(
    "told",
    [
        None, ["webp", "torch.uint8"], ["zip", "torch.uint8", [2]], ["deflate", "torch.uint9", [2]],
        ["deflate", "torch.uint8", [-1]],
        ["deflate", "torch.uint8", [10**9, 10**9]], ["webp", "torch.uint8", [2, 2, 3]], ["deflate", "torch.uint8", "x"],
    ],
)  # fmt: skip
def test_what_is_no_packed_tensor_is_refused(told: object) -> None:
    content, _ = packed(torch.arange(10, dtype=torch.uint8))
    with pytest.raises(ValueError, match="packed"):
        unpacked(content, told)
    with pytest.raises(ValueError, match="packed"):
        unpacked(content[:4], ["deflate", "torch.uint8", [10]])


def test_a_packed_session_is_smaller_and_the_same(tmp_path) -> None:
    cameras = turn(4, 96, 64)
    seen = room().render(cameras[0])
    memory = SpatialMemory()
    memory.write(seen.rgb[0], seen.depth[0], cameras[0], torch.ones(64, 96, dtype=torch.bool))
    for name, packing in (("plain", False), ("packed", True)):
        SessionStore(tmp_path / name).save(memory, {"a": 1}, {"fixed": torch.eye(4)}, packing=packing)
    plain, small = (sum(f.stat().st_size for f in (tmp_path / name).iterdir()) for name in ("plain", "packed"))
    assert small < 0.8 * plain
    back, progress = load_session(tmp_path / "packed")
    assert progress == {"a": 1}
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(back.gaussians, name), getattr(memory.gaussians, name))
    for name in ("rgb", "depth", "written"):
        assert torch.equal(getattr(back.views[0], name), getattr(memory.views[0], name))
    assert back.views[0].pictures.nbytes < 0.5 * memory.views[0].pictures.nbytes, "it stays packed"
    SessionStore(tmp_path / "again").save(back, {"a": 1}, {"fixed": torch.eye(4)}, packing=True)
    parts = [(tmp_path / name / "part-00000.safetensors").read_bytes() for name in ("packed", "again")]
    assert parts[0] == parts[1]
    SessionStore(tmp_path / "unpacked").save(back)
    assert torch.equal(load_session(tmp_path / "unpacked")[0].views[0].depth, memory.views[0].depth)
