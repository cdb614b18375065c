"""Where logs are kept: Redis, Upstash, an embedded Valkey; what they share, and the scripts."""
