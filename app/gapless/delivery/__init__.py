"""From a cursor to bytes: a stream, or the same in one answer; the SSE encoder."""
