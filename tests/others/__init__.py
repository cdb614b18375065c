"""Browsers that are not Chromium."""
