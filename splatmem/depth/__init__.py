"""Depth estimators: one protocol, any transformers model behind it."""

from __future__ import annotations

from splatmem.depth.protocol import DepthCompleter, DepthEstimator, DepthPrediction, completed_depth

__all__ = ["DepthCompleter", "DepthEstimator", "DepthPrediction", "completed_depth", "load_depth_estimator"]

EMBEDDED_FOLDER = "models/depth-small"


def load_depth_estimator(model: str = "embedded", *, device: str = "cpu") -> DepthEstimator:
    """Loads a depth estimator.

    Args:
        model: ``embedded``, a local folder, or a hub id, of any model that transformers' ``AutoModelForDepthEstimation`` reads.
        device: where it runs.

    Raises:
        FileNotFoundError: the embedded weights are missing.
        ValueError: no such model can be loaded; the message says what to do.
    """
    from splatmem import assets
    from splatmem.depth.huggingface import HuggingFaceDepth, Output
    from splatmem.depth.prompted import PromptedDepth

    embedded = str(assets.path(EMBEDDED_FOLDER))
    if model == "embedded":
        return HuggingFaceDepth.from_pretrained(embedded, device=device)
    estimator = HuggingFaceDepth.from_pretrained(model, device=device)
    if estimator.output is Output.PROMPTED:
        return PromptedDepth(estimator, HuggingFaceDepth.from_pretrained(embedded, device=device))
    return estimator
