"""Names of the methods that are compared. Needs no PyTorch."""

from __future__ import annotations

OURS = "ours"
ABLATION = "no_memory"
FILLERS = ("telea", "navier_stokes", "push_pull", "smear", "patchmatch")
PHOTO = "photo_alone"
ALL = (OURS, *FILLERS, ABLATION)
METHODS = (*ALL, PHOTO)
"""``ours``: the preset's own inpainter in the loop; the fillers: the same loop with a classical filler; ``no_memory``: the
preset's own inpainter without the memory; ``photo_alone``: nothing is made."""


def parse_methods(text: str) -> tuple[str, ...]:
    """``all`` (but ``photo_alone``), or names separated by commas, in the order of ``METHODS``.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    if text == "all":
        return ALL
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in METHODS]
    if unknown or not wanted:
        raise ValueError(f"--methods expects all, or some of {','.join(METHODS)}; got {text!r}")
    return tuple(name for name in METHODS if name in wanted)
