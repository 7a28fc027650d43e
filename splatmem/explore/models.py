"""The models that make a scene: loaded when they are first asked for, or a user's own."""

from __future__ import annotations

from splatmem.config import Config
from splatmem.depth import DepthEstimator, load_depth_estimator
from splatmem.explore.panorama import PanoramaFirst
from splatmem.explore.planner import Planner
from splatmem.inpaint import VideoInpainter, load_inpainter
from splatmem.models.hardware import release


class Models:
    """An inpainter, a depth estimator and, where a user brings one, a planner."""

    def __init__(
        self,
        config: Config,
        device: str = "cpu",
        *,
        inpainter: VideoInpainter | None = None,
        depth: DepthEstimator | None = None,
        planner: Planner | None = None,
    ) -> None:
        """Args:
        config: names the models that are loaded where none is given.
        device: where those run.
        inpainter, depth, planner: to be used instead.
        """
        self.config, self.device, self.planner = config, device, planner
        self._own = (inpainter, depth)
        self._inpainter, self._depth = inpainter, depth

    @property
    def inpainter(self) -> VideoInpainter:
        """The inpainter, which fills the unknown.

        Raises:
            ValueError: it cannot be loaded; the message says what to do.
        """
        if self._inpainter is None:
            loaded = load_inpainter(self.config.inpainter, device=self.device, hardware=self.config.hardware)
            self._inpainter = PanoramaFirst(loaded, lambda: self.depth) if self.config.inpainter.panorama else loaded
        return self._inpainter

    @property
    def depth(self) -> DepthEstimator:
        """Tells the depth of pictures.

        Raises:
            ValueError: it cannot be loaded; the message says what to do.
        """
        if self._depth is None:
            self._depth = load_depth_estimator(self.config.depth.model, device=self.device, hardware=self.config.hardware)
        return self._depth

    def release(self) -> None:
        """Gives back the memory of what was loaded; it is loaded again when it is asked for."""
        self._inpainter, self._depth = self._own
        release(self.device)
