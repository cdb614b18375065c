"""Thousands of streams, readers who never read, a thousand channels: what each costs, counted from outside."""
