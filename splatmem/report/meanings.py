"""What the figures of a run's report mean, for who reads its page."""

from __future__ import annotations

MEANINGS = {
    "generated_frames": "frames that went through the inpainter",
    "windows": "groups of frames that the inpainter filled together",
    "memory_bytes": "the scene in main memory",
    "peak_rss_bytes": "the whole program in main memory, at most",
    "photo_psnr": "the photo's own view of the finished scene against the photo; above 40 dB a difference is hardly seen",
    "photo_worst_patch_psnr": "the same over the worst patch of 32x32 pixels",
    "retention_psnr.min": "what was known before a write, seen again at the end, against what it was; worst frame",
    "retention_psnr.mean": "the same, mean of all frames",
    "retention_worst_patch_psnr.min": "the same over the worst patch of 32x32 pixels",
    "bend.mean": "how far the photo's straight lines are from straight, seen from aside, as a share of their length",
    "bend.share_above_3_percent": "lines that are bent by more than 3 %",
    "unknown_fraction": "share of the film's pixels that the scene does not know",
    "scene.subject_distance": "from the photo's camera to what is in its middle",
    "scene.size": "width, height and depth of most of the scene",
    "border_depth_step": "median step of depth where what was made meets what was known",
}


def figure_meaning(name: str) -> str:
    """What a figure means, by its name with those of the levels above in front; empty where the name says all."""
    return MEANINGS.get(name, "")
