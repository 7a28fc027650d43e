"""What may lie around a view: a closed room, and the empty place that the view shows, going on around in it."""
