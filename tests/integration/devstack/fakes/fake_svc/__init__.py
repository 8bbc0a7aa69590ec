"""A service that has no work: it answers /readyz, and misbehaves as FAKE_* variables ask."""
