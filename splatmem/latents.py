"""The memory in the latents of an inpainter: encoded once for every written frame, read for every window."""

from __future__ import annotations

from splatmem.cameras import Cameras
from splatmem.inpaint.protocol import LatentFrames, LatentInpainter
from splatmem.memory import SpatialMemory


def remember_latents(memory: SpatialMemory, inpainter: LatentInpainter) -> None:
    """Gives the memory the latents of all views that were written since the last time."""
    for view in memory.views[memory.latent_views :]:
        latents = inpainter.encode(view.rgb.float() / 255)
        memory.write_features(latents, inpainter.latent_cameras(view.camera), view)
        memory.latent_views += 1


def read_latents(memory: SpatialMemory, inpainter: LatentInpainter, cameras: Cameras) -> LatentFrames:
    """What is known of a window."""
    reading = memory.read(inpainter.latent_cameras(cameras), features=True)
    assert reading.features is not None
    return LatentFrames(reading.features, reading.known, reading.trust)
