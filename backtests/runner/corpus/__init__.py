"""Attacks on the jail: read from a file, run through the real entry point, judged from outside."""
