"""The ground that all rooms stand on: errors, progress, atomic files, checkpoints, settings, jobs."""
