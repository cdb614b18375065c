"""The routes. Each reads its request, calls one thing, and answers."""
