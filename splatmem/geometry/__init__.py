"""Cameras, poses, rotations, conventions of other tools, normals, gravity, and smooth extension of maps."""
