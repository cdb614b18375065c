"""Servers of others: how they stop, and what passes through them."""
