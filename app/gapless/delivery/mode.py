"""How bytes reach a client. Pure."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Whether bytes reach the client as they are written, or only when the response is complete."""

    STREAMING = "streaming"
    BUFFERED = "buffered"
