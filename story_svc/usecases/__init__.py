"""What story_svc does, one verb a file. A use case's fields are what it needs; calling it does it."""
