"""Whole jobs: from options to a folder of results."""
