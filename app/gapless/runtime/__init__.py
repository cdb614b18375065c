"""Tasks that end for certain, the watchdog, and the version."""
