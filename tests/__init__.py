"""Tests: unit (no sockets), contract, integration on the embedded stack, e2e through real processes, chaos."""
