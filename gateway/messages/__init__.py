"""Direct messages, and the inbox that keeps devices up to date."""
