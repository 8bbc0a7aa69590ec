"""The home feed."""
