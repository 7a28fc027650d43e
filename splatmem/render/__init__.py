"""Differentiable rendering of 3D Gaussians: gsplat on CUDA, the package's own kernels on the CPU."""

from splatmem.render.rasterization import rasterization

__all__ = ["rasterization"]
