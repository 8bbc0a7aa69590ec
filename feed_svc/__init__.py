"""Posts, people, who follows whom, and the home feed: hybrid push and pull."""
