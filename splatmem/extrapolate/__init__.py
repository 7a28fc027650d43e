"""What may lie around a view: a closed room, or level ground, going on plainly around what it shows."""
