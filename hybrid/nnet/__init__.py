"""Neural acoustic models: networks, their objectives, and the acoustic model made of one."""
