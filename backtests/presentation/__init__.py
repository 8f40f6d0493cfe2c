"""A report in words and formatted numbers: what pages print. Nothing here computes a result."""
