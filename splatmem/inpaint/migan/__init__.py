"""A small learnt network that fills pictures."""
