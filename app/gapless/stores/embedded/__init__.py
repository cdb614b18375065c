"""A Valkey of this machine's own, started and shared by who uses one data folder."""
