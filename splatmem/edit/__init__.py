"""What is done to a memory beside exploring it: selecting, taking away, moving, colouring, joining; and the way back."""
