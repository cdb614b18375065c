"""One module for each way to run a store: `run(folder)` is an async context manager that yields a `Backend`."""
