"""Inpainters that run pipelines of diffusers."""
