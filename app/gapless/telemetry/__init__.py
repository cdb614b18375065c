"""Traces and errors for the tools of others, where packages and variables of theirs are there."""
