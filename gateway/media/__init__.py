"""Uploads, and addresses of photos."""
