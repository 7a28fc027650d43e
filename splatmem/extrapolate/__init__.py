"""What may lie around a view: the room that closes it, and copies of the view that stand in it."""
