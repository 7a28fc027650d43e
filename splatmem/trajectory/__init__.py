"""Camera trajectories: presets, resampling, and what a user calls a path."""
