"""The routes: each reads its request, calls one thing, and answers."""
