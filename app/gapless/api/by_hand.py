"""Parameters that a route reads by hand, described and refused as FastAPI does it for others. (docs/decisions, 12)"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from gapless.api.schemas import CHANNEL

CHANNEL_IS = "The channel's name; what stands before its first `:` is its namespace (GAPLESS_NAMESPACES)."
Parameter = dict[str, Any]


def parameter(name: str, schema: dict[str, Any], place: str = "query", *, required: bool = False) -> Parameter:
    """As OpenAPI has it. `schema` has a description."""
    return {
        "name": name,
        "in": place,
        "required": required,
        "schema": schema,
        "description": schema["description"],
    }


_bodies: dict[str, type[BaseModel]] = {}
_queries: dict[str, type[BaseModel]] = {}


def described(model: type[BaseModel]) -> Parameter:
    """The schema of a body that this model reads: its name. `components` has the rest, which few ask for."""
    name = str(model.model_config.get("title"))
    _bodies[name] = model
    return {"$ref": f"#/components/schemas/{name}"}


def queries(model: type[BaseModel]) -> list[Parameter]:
    """The parameters that this model reads, by their names in the same way."""
    _queries.update(dict.fromkeys(model.model_fields, model))
    return [{"$ref": f"#/components/parameters/{name}"} for name in model.model_fields]


def components() -> dict[str, dict[str, Any]]:
    """What those names stand for. It takes a while: no cold start should."""
    of_query = {model: model.model_json_schema()["properties"] for model in set(_queries.values())}
    return {
        "schemas": {name: model.model_json_schema() for name, model in _bodies.items()},
        "parameters": {name: parameter(name, of_query[model][name]) for name, model in _queries.items()},
    }


def invalid(error: ValidationError, *place: str) -> RequestValidationError:
    """What FastAPI would raise."""
    return RequestValidationError([{**one, "loc": (*place, *one["loc"])} for one in error.errors()])


IN_PATH = parameter(
    "channel",
    {
        "type": "string",
        "pattern": CHANNEL,
        "title": "Channel",
        "description": CHANNEL_IS,
        "examples": ["general"],
    },
    "path",
    required=True,
)
"""The channel that a path names."""

_channel: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(pattern=CHANNEL)])


def channel_of(request: Request) -> str:
    """The channel that the path names; raises RequestValidationError where it is none."""
    try:
        return _channel.validate_python(request.path_params["channel"])
    except ValidationError as error:
        raise invalid(error, "path", "channel") from None
