"""Faults of processes, stores, replicas and the ways between them, and the stage on which they are played."""
