"""One channel in one process: a copy of the log's end, who reads it, and how it is kept equal to the log."""
