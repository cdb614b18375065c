"""The real product on a Redis Cluster, and over TLS."""
