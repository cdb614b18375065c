"""Tokens and tickets, the keys that verify them, what they permit, and rates."""
