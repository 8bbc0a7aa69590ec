"""Stories: photos that are gone after 24 hours."""
