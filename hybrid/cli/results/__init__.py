"""Commands about what was recognised: `hybrid combine`, `confidence` and `report`."""
