"""Benchmarks: figures, never assertions. Each prints ratios against a peer in the same run. `make bench`."""
