"""Direct messages between two people: log first, in order, once, never lost."""
