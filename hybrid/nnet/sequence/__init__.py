"""The forward-backward operator of sequence training and the LF-MMI objective on it; needs torch and numpy only."""
