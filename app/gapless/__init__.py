"""Gapless: messages that reach browsers live, in order and without loss, from functions that may stop at any moment.

The public API. What a name needs is imported when it is first used: `import gapless` alone costs nothing.

    live = gapless.create_app(gapless.Settings())
    app.mount("/live", live)
    ...
    await live.publish("general", {"text": "hi"})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "gapless":  # as `app.gapless` every class would be there twice, and none would be the other
    raise ImportError(f"import this as `gapless`, and not as `{__name__}`: put its parent folder on sys.path")

if TYPE_CHECKING:
    from gapless.api.app import GaplessApp, Sent
    from gapless.api.factory import create_app
    from gapless.config.settings import Settings
    from gapless.log.errors import GaplessError, Refused, StartupRefused, StoreUnavailable
    from gapless.runtime.version import __version__

__all__ = [
    "GaplessApp",
    "GaplessError",
    "Refused",
    "Sent",
    "Settings",
    "StartupRefused",
    "StoreUnavailable",
    "__version__",
    "create_app",
]

_HOMES = {
    "create_app": "gapless.api.factory",
    "GaplessApp": "gapless.api.app",
    "Sent": "gapless.api.app",
    "GaplessError": "gapless.log.errors",
    "Refused": "gapless.log.errors",
    "StartupRefused": "gapless.log.errors",
    "StoreUnavailable": "gapless.log.errors",
    "Settings": "gapless.config.settings",
    "__version__": "gapless.runtime.version",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gapless' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
