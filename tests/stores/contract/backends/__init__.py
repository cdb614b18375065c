"""One module for each way to run a store: `run(folder)` is a context manager that yields a `Backend`."""
