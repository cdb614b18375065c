"""Redis or Valkey over TCP: one server, or a cluster."""
