"""Times: segments of frames, phones and words with their times, and the files they are written to."""
