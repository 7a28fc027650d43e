"""Whether a photo bears a full circle round its subject.

From behind the subject a camera looks at what the photo does not show. A thing that stands alone is given its other side. A
photo that is mostly things, or whose ground, hills or walls rise before such a camera, shows it their backs: what would be made
there is debris, and a swing to both sides is the better film.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from splatmem.memory import SpatialMemory
from splatmem.memory.visibility import KNOWN_ALPHA
from splatmem.trajectory.clear_space import TIGHT, ClearSpace
from splatmem.trajectory.presets import make_path
from splatmem.trajectory.round_subject import FULL_CIRCLE

# Between six rendered scenes of single things (at most .16 and .06) and 23 photos, of which two or three show such a thing.
MOST_THINGS = 0.3  # share of the photo that may stand out before what lies behind it
MOST_BACKS = 0.08  # share of a view on the circle in which the background may be seen from behind
VIEWS = 16  # on the circle that are looked at
WIDTH = 96  # pixels across them


def bears_circle(memory: SpatialMemory, clear: ClearSpace) -> bool:
    """Whether a camera may go all the way round the subject, and sees little of the background from behind there.

    It is looked at with the photo's own size and field of view: a film of any length and size gets the same answer.

    Args:
        memory: as it was given, with nothing that was made.
        clear: the space that a camera has in it.
    """
    stands_out = clear.stands_out
    if stands_out.float().mean() > MOST_THINGS:
        return False
    photo = memory.views[0].camera
    circle = make_path(
        "orbit",
        VIEWS,
        scale=memory.scale,
        subject_distance=clear.subject,
        fov_x_degrees=photo.fov_x_degrees,
        width=photo.width,
        height=photo.height,
        is_free=clear.is_clear,
        is_barely_free=partial(clear.is_clear, nearest=TIGHT),
        down=memory.down,
    )
    if circle.extent is None or circle.extent.degrees < FULL_CIRCLE:
        return False
    camera = clear.camera
    pixels, z = camera.project(memory.gaussians.means.cpu())
    column = pixels[0, :, 0].long().clamp(0, camera.width - 1)
    row = pixels[0, :, 1].long().clamp(0, camera.height - 1)
    of_background = ~(stands_out[row, column] & camera.in_picture(pixels, z)[0])
    background = replace(memory, gaussians=memory.gaussians.select(of_background.to(memory.device)))
    known, alpha = background.coverage(circle.cameras.coarse(WIDTH))
    return bool((~known & (alpha > KNOWN_ALPHA)).flatten(1).float().mean(1).max() <= MOST_BACKS)
