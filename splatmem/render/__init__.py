"""Differentiable rendering of 3D Gaussians: gsplat on CUDA, the package's own kernels on the CPU."""

from splatmem.render.contributions import contributions
from splatmem.render.rasterization import rasterization
from splatmem.render.rasterize import Rendering, rasterize, rasterize_colours

__all__ = ["Rendering", "contributions", "rasterization", "rasterize", "rasterize_colours"]
