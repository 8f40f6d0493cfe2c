"""The parent's side of the jail: what is around a run's child. docs/concepts/the-jail.md explains the layers."""
