"""Each fault of a process or a store by itself, under traffic, and the checker's verdict."""
