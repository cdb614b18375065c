"""The real product on Upstash's REST API: an emulator, in a process of its own, before a real Valkey."""
