"""What is asked for the price of: who reads, how long, how much is said, and where it runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Where the service runs. Lambda answers in turns, and streams with the Web Adapter."""

    SERVER = "server"
    VERCEL = "vercel"
    LAMBDA = "lambda"
    LAMBDA_STREAM = "lambda-stream"

    @property
    def alone(self) -> bool:
        """Whether each waiting client holds an environment of its own."""
        return self in (Platform.LAMBDA, Platform.LAMBDA_STREAM)


class Store(StrEnum):
    """Redis of your own over TCP, or Upstash, which bills each command."""

    REDIS = "redis"
    UPSTASH = "upstash"


@dataclass(frozen=True, slots=True)
class Shape:
    """One day. `users` read, each one of `channels` for `hours`, all at the same time of day; `messages` in all.

    `lifetime`: GAPLESS_LIFETIME, seconds. `recheck`: GAPLESS_RECHECK. `rate`: whether there is a rate. `memory`: GB of
    a function. `processes`: that serve at once, on a server or on Vercel; on Lambda each client has its own.
    """

    users: int = 100
    hours: float = 8.0
    messages: int = 10_000
    channels: int = 1
    platform: Platform = Platform.SERVER
    store: Store = Store.REDIS
    lifetime: float = 240.0
    recheck: float | None = None
    rate: bool = True
    memory: float = 0.5
    processes: int = 1

    @property
    def rechecked(self) -> float:
        """Seconds between reads of a quiet channel, as they hold."""
        return self.recheck or {Store.REDIS: 15.0, Store.UPSTASH: 240.0}[self.store]

    @property
    def online(self) -> float:
        """Hours that all users together are online."""
        return self.users * self.hours

    @property
    def per_second(self) -> float:
        """Messages a second on a channel, while users are online."""
        return self.messages / self.channels / (self.hours * 3600) if self.hours else 0.0
