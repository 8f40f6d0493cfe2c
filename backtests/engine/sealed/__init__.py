"""Sealed runs: the child's side. Bars come one by one, and what lies ahead is not in this process's memory.

docs/concepts/sealed-runs.md says what it is for; loop.py is the order of things. Everything here stands on what is
revealed: an account over the shared table, indicators that grow by one value a bar, histories of bars that have come.
"""
