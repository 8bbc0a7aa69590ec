"""Uploads and photos: what people send is checked, re-encoded and stripped before anybody else can see it."""
