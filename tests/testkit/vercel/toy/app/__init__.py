"""A function that does little, to try the harness on."""
