"""Limits on what a video model does at once, and how they shrink when the device runs out of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from splatmem.config import HardwareConfig
from splatmem.models.hardware import release, sparing_options
from splatmem.models.main_memory import is_out_of_memory, reason

FEWEST_PIXELS = 256 * 144
Result = TypeVar("Result")


@dataclass(frozen=True)
class Budget:
    """The largest number of frames, and of pixels of a frame, that go through a model at once.

    Attributes:
        frames: 1, or 4k + 1.
        pixels: None for no limit.
    """

    frames: int
    pixels: int | None

    def smaller(self, used_pixels: int) -> Budget | None:
        """The budget to try after ``frames`` of ``used_pixels`` did not fit: half the frames down to 17, then half the pixels,
        then 5 frames; None if nothing smaller is left."""
        if self.frames > 17:
            return replace(self, frames=max(17, _4k_plus_1(self.frames // 2)))
        if used_pixels // 2 >= FEWEST_PIXELS:
            return replace(self, pixels=used_pixels // 2)
        if self.frames > 5:
            return replace(self, frames=5)
        return None


def _4k_plus_1(frames: int) -> int:
    return (frames - 1) // 4 * 4 + 1


def within_memory(
    attempt: Callable[[Budget], Result],
    budget: Budget,
    pixels: Callable[[Budget], int],
    device: str,
    generator: torch.Generator,
    hardware: HardwareConfig,
    pixels_setting: str = "inpainter.max_pixels",
) -> tuple[Result, Budget]:
    """Runs ``attempt`` with ever smaller budgets until one fits; returns its result and the budget that did.

    Args:
        pixels: tells how many pixels a frame has under a budget.
        generator: its state is restored before each further attempt.
        hardware: as it is used, for the message.
        pixels_setting: the setting that limits the pixels, for the message.

    Raises:
        ValueError: not even the smallest fits; the message says which settings need less.
    """
    state = generator.get_state()
    while True:
        try:
            return attempt(budget), budget
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            said = reason(error)
        # Outside of the handler: inside it, the traceback would keep the tensors of the failed attempt alive.
        release(device)
        generator.set_state(state)
        used = pixels(budget)
        following = budget.smaller(used)
        if following is None:
            sparing = ", or ".join([*sparing_options(hardware), f"--set {pixels_setting}={used // 2}"])
            raise ValueError(
                f"{device} has too little memory for {budget.frames} frames of {used} pixels ({said}); give {sparing}; "
                "--resume goes on with that"
            )
        budget = following
