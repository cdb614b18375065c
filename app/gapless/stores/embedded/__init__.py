"""A Valkey for this machine only. All processes that use one data folder start it and share it."""
