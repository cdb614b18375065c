"""`gapless doctor`: whether a deployment does what it promises, and what to change where it does not.

A check is a module of `checks/` with two functions: `probe` waits and says what it saw, `judge` is pure and says what
that means. `examine.py` runs them.
"""
