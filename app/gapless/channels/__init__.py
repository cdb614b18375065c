"""One channel in one process: its copy of the log's end, who reads it, and how it is kept true."""
