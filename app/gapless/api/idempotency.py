"""The header Idempotency-Key: which values are valid, and which key counts if the body has one too. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gapless.api.schemas import Message
from gapless.log.errors import Unprocessable

# The IETF's draft has a string of RFC 8941: in quotes, and `\` before a quote or another `\`. A key: 128 characters.
_PLAIN = r"[^\x00-\x1f\x7f]{0,128}"
_QUOTED = r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){0,128})"'
PATTERN = f"^({_PLAIN}|{_QUOTED})$"


class HeaderKey(NamedTuple):
    """The key that a header holds. `quoted`: as the IETF's draft has it, and as Firefox adds one to every POST."""

    text: str
    quoted: bool


def read_key(header: str | None) -> HeaderKey | None:
    """The key of a header, None where there is none or an empty one; raises Unprocessable for what can't be one."""
    if not header:
        return None
    if quoted := re.fullmatch(_QUOTED, header):
        key = HeaderKey(re.sub(r"\\(.)", r"\1", quoted[1]), quoted=True)
    elif re.fullmatch(_PLAIN, header):
        key = HeaderKey(header, quoted=False)
    else:
        raise Unprocessable("Idempotency-Key: 1 to 128 characters, and no control characters.")
    return key if key.text else None


def keyed(message: Message, key: HeaderKey | None) -> Message:
    """A single message with the header's key as its localId. A quoted key yields to the body's own: see `HeaderKey`.

    Raises Unprocessable where an unquoted one differs from the body's: its sender must know which one he means.
    """
    if key is None or (key.quoted and message.localId is not None):
        return message
    if message.localId not in (None, key.text):
        raise Unprocessable("The header Idempotency-Key and the message's localId differ; send one, or both alike.")
    return message.model_copy(update={"localId": key.text})


def batch_key(messages: Sequence[Message], key: HeaderKey | None) -> str | None:
    """What keys a batch as a whole. A quoted header yields where each message has a localId of its own.

    A browser makes a new key when the page sends the batch again, which would turn a repeat into one in part (409).
    """
    if key is None or (key.quoted and all(message.localId is not None for message in messages)):
        return None
    return key.text
