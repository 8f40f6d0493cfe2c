"""The processes of `make bench-peers`: one module per engine, started as `python -m benchmarks.peers.NAME`."""
