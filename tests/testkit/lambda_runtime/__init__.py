"""AWS Lambda on loopback: real runtime processes behind every kind of HTTP front, no account needed.

    async with LambdaFront("app.lambda_handler.handler", Front.HTTP_API_V2, env={…}) as front:
        reply = await client.get(f"{front.url}/healthz")
    assert front.stats.timeouts == 0

`awslambdaric`, the runtime client that AWS itself runs, polls a server that speaks Lambda's Runtime API. What the
fronts send and accept follows AWS's documentation, and where that is silent what others have captured from it.
"""

from .front import LambdaFront
from .fronts import Fault, Front, Setup
from .stats import EnvironmentRecord, Invocation, Stats

__all__ = ["EnvironmentRecord", "Fault", "Front", "Invocation", "LambdaFront", "Setup", "Stats"]
