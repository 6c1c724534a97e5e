"""The search engines behind the one door."""
