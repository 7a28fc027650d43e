"""Ways to look at a memory."""
