"""Stories: photos that are gone, on every path, 24 hours after they were published."""
