"""FastAPI without the models in which it describes an app: they are made when somebody asks for the description.

To make some forty of them takes as long as all else of FastAPI, a sixth of a cold start.
"""

from __future__ import annotations

from pydantic import BaseModel


def import_fastapi() -> None:
    """To be called before anything imports FastAPI; later it does nothing."""
    BaseModel.model_config["defer_build"] = True  # each class copies it when it is made
    try:
        import fastapi.openapi.models  # noqa: PLC0415, F401
    finally:
        del BaseModel.model_config["defer_build"]
