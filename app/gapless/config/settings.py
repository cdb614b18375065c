"""All settings: read once from the environment, frozen, and handed down as arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gapless.auth.tokens import TOKEN_MAX
from gapless.config.namespaces import Burst, Cap, NamespaceSettings, Rate, Retention, must_be_names, read_namespaces
from gapless.config.origins import parse
from gapless.log.entries import ENVELOPE

SHORTEST_SECRET = 32
"""Characters of a secret that signs."""

EMBEDDED = "_GAPLESS_EMBEDDED"
"""The variable in which `gapless serve` tells the app and its workers that REDIS_URL leads to its own Valkey: the same
URL once more. No setting."""


class Settings(BaseSettings):
    """The settings of one service. A field `x` is read from `GAPLESS_X` unless it names another variable."""

    model_config = SettingsConfigDict(
        env_prefix="GAPLESS_", frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    # The store: Upstash wins over REDIS_URL; neither means the embedded Valkey, on local runs only.
    upstash_url: str | None = Field(
        default=None, validation_alias=AliasChoices("UPSTASH_REDIS_REST_URL", "KV_REST_API_URL")
    )
    upstash_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("UPSTASH_REDIS_REST_TOKEN", "KV_REST_API_TOKEN")
    )
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")
    prefix: str = Field(default="gapless", pattern=r"^[A-Za-z0-9_.:-]{1,64}$", description="opens every Redis key")
    data_dir: str = Field(default=".gapless", description="folder of the embedded Valkey")

    # The log.
    cap: Cap = Field(default=1000, description="messages kept a channel")
    cap_bytes: int = Field(default=67_108_864, ge=1_048_576, le=4_294_967_296, description="bytes kept a channel")
    retention: Retention = Field(default=86_400, description="seconds for which a silent channel is kept")
    namespaces: Annotated[Mapping[str, NamespaceSettings] | None, NoDecode] = Field(
        default=None, description="JSON: cap, retention, rate, burst and switches per kind of channels"
    )

    # Streams.
    lifetime: float = Field(default=240.0, ge=0.2, le=86_400, description="longest stream, seconds")
    heartbeat: float = Field(default=15.0, ge=0.05, le=300, description="seconds of silence before a comment line")
    retry_ms: int = Field(default=700, ge=1, le=60_000, description="what an EventSource waits before it reconnects")
    recheck: float | None = Field(
        default=None,
        ge=0.2,
        le=3600,
        description="seconds between reads of a quiet channel; 15 over TCP, 240 over REST",
    )
    batch_ms: float = Field(default=0.0, ge=0, le=60_000, description="milliseconds between a channel's batches")
    linger: float = Field(
        default=10.0, ge=0, le=300, description="seconds for which a feed stays warm after its last reader"
    )

    presence: float = Field(
        default=200.0, ge=2, le=3600, description="seconds after which a user is gone whose process died"
    )

    # Limits, and who may connect.
    max_body: int = Field(default=131_072, ge=1024, le=4_194_304, description="bytes of a publish request")
    rate: Rate = Field(default=200.0, description="messages a second, per channel and user; 0 = off")
    burst: Burst = Field(default=5000, description="messages at once, per channel and user")
    rate_bytes: float = Field(
        default=1_048_576.0,
        ge=0,
        le=1e12,
        description="bytes a second, per channel and user, where there is a rate; 0 = off",
    )
    burst_bytes: int = Field(
        default=16_777_216, ge=1024, le=4_294_967_296, description="bytes at once, per channel and user"
    )
    stream_rate: float = Field(
        default=6000.0, ge=0, le=1_000_000, description="streams opened a minute, per address; 0 = off"
    )
    streams: int = Field(default=10_000, ge=1, le=1_000_000, description="streams open at once in a process")
    channels: int = Field(default=2000, ge=16, le=100_000, description="channels read at once in a process")
    user_share: float = Field(
        default=0.05, gt=0, le=1, description="part of streams and channels that a token's subject may have"
    )
    address_share: float = Field(
        default=0.5, gt=0, le=1, description="part of streams and channels that an address may have"
    )
    read_rate: float = Field(
        default=50.0,
        ge=0,
        le=1_000_000,
        description="commands a second that a subject may cost by reading, and by posts that write nothing; 0 = off",
    )
    proxies: int = Field(
        default=0, ge=0, le=10, description="proxies of one's own before the service; each adds an address"
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="comma list of allowed browser origins"
    )
    server_timing: bool = Field(default=True, description="say in replies how long the store and all of it took")
    public: bool = Field(default=False, description="allow a service without keys beyond loopback")
    jwt_secret: SecretStr | None = Field(default=None, description="verifies tokens (HS256) and signs tickets")
    jwt_secret_old: SecretStr | None = Field(
        default=None, description="verifies too: the one before, while keys are changed"
    )
    # Some publishers want a key of their own in the address.
    jwks_url: SecretStr | None = Field(default=None, description="published keys that verify tokens")
    jwt_audience: str | None = Field(default=None, description="what a token's aud must name")
    jwt_issuer: str | None = Field(default=None, description="what a token's iss must be")
    token_max: float = Field(
        default=TOKEN_MAX, ge=60, le=3_153_600_000, description="seconds ahead that a token may end"
    )
    ticket_secret: SecretStr | None = Field(default=None, description="signs tickets where there is no jwt_secret")

    # Numbers for Prometheus.
    metrics: bool = Field(default=False, description="GET /metrics, on a server")
    metrics_token: SecretStr | None = Field(default=None, description="opens /metrics, and nothing else")
    metrics_dir: str | None = Field(default=None, description="folder in which worker processes find each other")

    @field_validator("origins", mode="before")
    @classmethod
    def _as_browsers_write_them(cls, value: object) -> object:
        return parse(value) if isinstance(value, str) else value

    @field_validator("namespaces", mode="before")
    @classmethod
    def _as_json_says(cls, value: object) -> object:
        return read_namespaces(value) if isinstance(value, str) else value

    @field_validator("namespaces")
    @classmethod
    def _can_be_namespaces(
        cls, value: Mapping[str, NamespaceSettings] | None
    ) -> Mapping[str, NamespaceSettings] | None:
        must_be_names(list(value or ()))
        return value

    @field_validator("jwt_secret", "jwt_secret_old", "ticket_secret", "metrics_token")
    @classmethod
    def _signs(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            _must_be_secret(secret.get_secret_value())
        return secret

    @field_validator("jwks_url")
    @classmethod
    def _can_be_fetched(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_http(url.get_secret_value()):
            raise ValueError("it is no address; it looks like https://issuer.example.com/.well-known/jwks.json")
        return url

    @property
    def embedded(self) -> bool:
        """Whether the store is the embedded Valkey of a local run: none is named, or that one by who started it."""
        if self.redis_url is None:
            return self.upstash_url is None
        return self.upstash_url is None and self.redis_url.get_secret_value() == os.environ.get(EMBEDDED)

    @property
    def keyed(self) -> bool:
        """Whether the service asks for tokens."""
        return self.jwt_secret is not None or self.jwks_url is not None

    @property
    def page(self) -> int:
        """The most entries one read of the log returns, so that a reply of the largest messages stays below 8 MiB."""
        return max(1, min(100, 8_388_608 // (self.max_body + ENVELOPE)))


def _is_http(url: str) -> bool:
    """Whether it can be asked for at all."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def _must_be_secret(text: str) -> None:
    """RFC 7518, 3.2: a key of HS256 has at least the 32 bytes of its hash. Blanks and quotes around it add none.

    A published key as the secret is known to everybody; the library refuses it, at every token.
    """
    if "-----BEGIN " in text or text.startswith(("ssh-", "ecdsa-sha2-")):
        raise ValueError("it is a key of a pair, not a shared secret; publish such keys as a set for GAPLESS_JWKS_URL")
    if (length := len(text.strip().strip("'\""))) < SHORTEST_SECRET:
        raise ValueError(
            f"it has {length} characters, and needs {SHORTEST_SECRET}, such as `openssl rand -base64 32` makes"
        )
