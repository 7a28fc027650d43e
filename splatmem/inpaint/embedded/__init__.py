"""The small RGB-D inpainting diffusion model that comes with the package."""
