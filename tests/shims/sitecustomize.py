"""Run by every Python that has this folder on its path."""

import full_disk

full_disk.install_from_environment()
