"""Depth estimators: one protocol, any transformers model behind it."""

from __future__ import annotations

from splatmem.config import HardwareConfig
from splatmem.depth.protocol import DepthCompleter, DepthEstimator, DepthPrediction, completed_depth

__all__ = ["DepthCompleter", "DepthEstimator", "DepthPrediction", "completed_depth", "load_depth_estimator"]

EMBEDDED_DEPTH_FOLDER = "models/depth-small"


def load_depth_estimator(
    model: str = "embedded", *, device: str = "cpu", hardware: HardwareConfig | None = None
) -> DepthEstimator:
    """Loads a depth estimator.

    Args:
        model: ``embedded``, a local folder, or a hub id, of any model that transformers' ``AutoModelForDepthEstimation`` reads.
        device: where it runs.
        hardware: with any offloading it waits in main memory between its uses.

    Raises:
        FileNotFoundError: the embedded weights are missing.
        ValueError: no such model can be loaded; the message says what to do.
    """
    from splatmem import assets
    from splatmem.depth.huggingface import HuggingFaceDepth, Output
    from splatmem.depth.prompted import PromptedDepth

    offload = hardware is not None and hardware.offload != "none"

    def load(source: str) -> HuggingFaceDepth:
        return HuggingFaceDepth.from_pretrained(source, device=device, offload=offload)

    embedded = str(assets.path(EMBEDDED_DEPTH_FOLDER))
    if model == "embedded":
        return load(embedded)
    estimator = load(model)
    if estimator.output is Output.PROMPTED:
        return PromptedDepth(estimator, load(embedded))
    return estimator
