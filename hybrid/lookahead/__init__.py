"""A graph of H, C and L composed with G while it is searched, looking ahead at the words that can still come."""
