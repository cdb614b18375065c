"""From a cursor to bytes: a stream, or one whole response; and the encoder of the service's own events."""
