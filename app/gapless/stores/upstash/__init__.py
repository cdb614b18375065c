"""Upstash over REST."""
