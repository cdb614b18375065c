"""Settings: what can be set, read once from the environment, and refused in a sentence where it is wrong."""
