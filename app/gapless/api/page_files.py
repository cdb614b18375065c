"""The pages as they are sent: each file of theirs under a name that never changes, and all modules asked for at once.

A page that names only its first module learns of the others one after another, as each names what it imports. Here the
page names them all, so that they come together. Their path has a digest of all files in it: a browser keeps them for a
year, and asks for none of them at its next visit; whoever changes a file, by hand or by another version, changes it.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from functools import lru_cache
from pathlib import Path

from gapless.runtime.version import __version__

WEB = Path(__file__).parents[1] / "web"
_IMPORT = re.compile(r'\b(?:from|import) "(\.[^"]+\.js)"')
_PART = re.compile(r'data-part="([^"]+)"')
_FILE = re.compile(r'(?<=")static/(?=[^"]+")')

_State = tuple[tuple[str, int, int], ...]


def page(name: str) -> str:
    """The page in this file of `web/`."""
    return _page(name, _state())


def version() -> str:
    """The part of the path under which the files are kept for ever, as they are now."""
    return _version(_state())


def modules(part: str) -> list[str]:
    """The paths, below `static/`, of a module and of all that it imports."""
    found = [part]
    for path in found:  # grows meanwhile
        source = _file(path).read_text(encoding="utf-8")
        imported = (
            posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in _IMPORT.findall(source)
        )
        found += [one for one in dict.fromkeys(imported) if one not in found]
    return found


def _state() -> _State:
    """Which files there are, and when they were changed: files may be edited while they are served."""
    files = sorted(path for path in WEB.rglob("*") if path.suffix in (".js", ".css", ".svg", ".html"))
    return tuple((str(path), (stat := path.stat()).st_mtime_ns, stat.st_size) for path in files)


@lru_cache(maxsize=1)
def _version(state: _State) -> str:
    digest = hashlib.sha256()
    for path, _, size in state:
        digest.update(f"{Path(path).relative_to(WEB).as_posix()} {size} ".encode() + Path(path).read_bytes())
    return f"{__version__}-{digest.hexdigest()[:8]}"


@lru_cache(maxsize=4)
def _page(name: str, state: _State) -> str:
    html = (WEB / name).read_text(encoding="utf-8")
    if (part := _PART.search(html)) is None:
        return html
    links = [f'    <link rel="modulepreload" href="static/{path}">' for path in modules(part[1])]
    html = html.replace("  </head>", "\n".join([*links, "  </head>"]), 1)
    return _FILE.sub(f"static/{_version(state)}/", html)


def _file(path: str) -> Path:
    """As `/static/` finds it."""
    return own if (own := WEB / path).is_file() else WEB / "client" / path
