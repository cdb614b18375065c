"""The settings: read once from the environment; a sentence refuses each wrong value."""
