"""Gapless: messages that reach browsers live, in order and without loss, from functions that may stop at any moment."""

__version__ = "0.1.0"
