"""Live events: which users are connected to this process, and what is heard for them."""
