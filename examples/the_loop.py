"""The loop written out: read what is known, fill the unknown, lift it, write it; then film the memory.

python examples/the_loop.py assets/photos/interior_table.jpg turn.mp4
"""

from __future__ import annotations

import splatmem as sm
import torch
import tyro
from splatmem.depth.alignment import align
from splatmem.memory.film import film_memory
from splatmem.timing import StageClock


def main(photo: tyro.conf.Positional[str], film: tyro.conf.Positional[str], frames: int = 48, width: int = 512) -> None:
    height = width * 9 // 16
    rgb = sm.load_photo(photo, width, height).rgb
    estimate_depth, inpaint = sm.load_depth_estimator("embedded"), sm.load_inpainter("push-pull")
    generator = torch.Generator().manual_seed(0)

    # The photo becomes the memory's first Gaussians.
    camera = sm.identity_camera(60, width, height)
    memory = sm.SpatialMemory(metric=True)
    depth = estimate_depth(rgb[None]).depth[0]
    memory.write(rgb, depth, camera, unknown=torch.ones_like(depth, dtype=torch.bool))
    memory.refine(steps=8)

    turn = sm.Trajectory.preset("turn", memory, frames)
    while True:
        # The frame that knows least, but enough to hold on to, is filled next.
        unknown = torch.stack([(~memory.read(view).known).float().mean() for view in turn.cameras.resized(128, 72)])
        candidates = torch.where(unknown < 0.65, unknown, 0)
        index = int(candidates.argmax())
        if candidates[index] < 0.02:
            break
        view = turn.cameras[index]
        seen = memory.read(view)
        partial = sm.PartialFrames(seen.rgb, seen.depth, seen.known, seen.trust, view)
        filled = inpaint(partial, generator=generator).rgb[0]
        aligned = align(estimate_depth(filled[None]).depth[0], seen.depth[0], seen.known[0])
        memory.write(filled, aligned.depth, view, unknown=~seen.known[0])
        memory.refine(steps=6)
        print(f"frame {index} filled: {100 * unknown.mean():.1f} % of the film was unknown")

    film_memory(memory, turn.cameras, film, 24.0, StageClock(), lambda stage, share: None)
    print(memory)


if __name__ == "__main__":
    tyro.cli(main)
