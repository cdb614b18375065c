"""Where logs are kept: Redis, Upstash or an embedded Valkey; what they share; and the scripts."""
