"""Search: the protocol, the readable reference, and the engines behind the same door."""
