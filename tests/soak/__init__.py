"""The soak: many processes, publishers and readers under random faults, for as long as one likes, and the verdict."""
