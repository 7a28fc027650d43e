"""Gaussian splats in the files of other programs: one module for each family of formats, and one door for all (``files``)."""
