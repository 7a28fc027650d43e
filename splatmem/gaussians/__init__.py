"""3D Gaussians: their container, how they are drawn, lifted from pictures and refined."""

from splatmem.gaussians.container import Gaussians

__all__ = ["Gaussians"]
