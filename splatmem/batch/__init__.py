"""Films of many photos: a manifest in, a folder for each film, a table and an index out; on one machine or on many."""
