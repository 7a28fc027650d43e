"""The small depth model that comes with the package."""
