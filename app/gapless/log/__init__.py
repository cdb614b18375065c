"""Ids and positions, entries, publications, and the port to a store. Pure."""
