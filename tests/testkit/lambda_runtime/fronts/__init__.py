"""The kinds of HTTP front that AWS can put before a function."""

from __future__ import annotations

from enum import Enum

from .alb import LoadBalancer
from .function_url import FunctionUrl
from .http_api import HttpApi
from .port import Fault, FrontKind, Setup, Stamp
from .rest_api import RestApi

__all__ = ["Fault", "Front", "FrontKind", "Setup", "Stamp"]


class Front(Enum):
    """Every kind of front; the value is a FrontKind."""

    HTTP_API_V2 = HttpApi("2.0")
    HTTP_API_V1 = HttpApi("1.0")
    REST_API = RestApi()
    FUNCTION_URL = FunctionUrl()
    ALB = LoadBalancer(multi_value=False)
    ALB_MULTI_VALUE = LoadBalancer(multi_value=True)
