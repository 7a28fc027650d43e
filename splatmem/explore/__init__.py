"""The loop: which cameras are filled next, how a window is made and written, and what a memory begins with."""
