"""One file a verb: what the service does, in terms of its domain."""
