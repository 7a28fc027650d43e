"""What the notes of a run mean for who reads them, and what to do about them."""

from __future__ import annotations

MEANINGS = (
    ("does not say its field of view", "With another angle things would be deeper or flatter: --fov gives the true one."),
    ("lie inside or behind", "There the film looks from inside a thing; another path, or a shorter one, avoids it."),
    ("moved between them", "The report shows which; the places behind were filled from the other pictures, or made."),
    ("contradict each other", "Poses of another run, or of a turned picture, do this."),
    ("were left out", "The film was made without them."),
    ("reads no words", "A preset with a large model reads them: splatmem models list."),
    ("the CPU drew", "The result is the same; it took longer."),
    ("memory ran out", "What was made is softer; a smaller --size or --low-vram avoids it."),
    ("drawn in", "Further out the camera would have met walls or things."),
)


def meaning(note: str) -> str:
    """A sentence for who reads a note; empty where the note says all."""
    return next((sentence for words, sentence in MEANINGS if words in note), "")
