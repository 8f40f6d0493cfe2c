"""Pages about runs, by noun."""
