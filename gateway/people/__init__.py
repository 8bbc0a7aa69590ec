"""People: profiles, follows, blocks."""
