"""What may lie around a view: a closed room, and mirrored copies of the view in it."""
