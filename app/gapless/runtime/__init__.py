"""Tasks that end for certain, and what else Python itself leaves to be done."""
