"""A process that does nothing but relay an outbox, to be killed; see tests/chaos/outbox.py."""
