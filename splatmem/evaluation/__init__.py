"""Measures of how well a memory keeps and a model makes."""
