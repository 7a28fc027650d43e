"""The memory in the latents of an inpainter: written once, read for every window.

The latents of pictures that were given are encoded. Those of what a window has made are there already: its sampler has just
come to them, and nothing is encoded.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.inpaint.protocol import LatentFrames, LatentInpainter
from splatmem.memory import SpatialMemory


def encode_views(memory: SpatialMemory, inpainter: LatentInpainter) -> None:
    """Gives the memory the latents of those of its views that have none."""
    for view in memory.views[memory.num_feature_views :]:
        latents = inpainter.encode(view.rgb.float() / 255)
        memory.write_features(latents, inpainter.latent_cameras(view.camera), view.camera)
        memory.num_feature_views += 1


def write_latents(
    memory: SpatialMemory, inpainter: LatentInpainter, latents: Float[Tensor, "g h w f"], cameras: Cameras
) -> None:
    """Gives the memory the latents of a window, whose frames it has been given before."""
    on_grid, at_size = inpainter.latent_cameras(cameras), cameras[inpainter.latent_frames(len(cameras))]
    for index in range(len(latents)):
        memory.write_features(latents[index], on_grid[index], at_size[index])
    memory.num_feature_views = len(memory.views)


def read_latents(memory: SpatialMemory, inpainter: LatentInpainter, cameras: Cameras) -> LatentFrames:
    """What is known of a window."""
    reading = memory.read(inpainter.latent_cameras(cameras), features=True)
    assert reading.features is not None
    return LatentFrames(reading.features, reading.known, reading.trust)
