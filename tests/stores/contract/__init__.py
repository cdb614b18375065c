"""Every sentence of the port (`app/gapless/log/store.py`) as a test, on every store.

A store takes part by one module in `backends/`, and nobody else mentions it. Tests that ask for `servers` or `fragile`
look behind the store; the others also hold `tests/testkit/model_store.py` to the same sentences.
"""
