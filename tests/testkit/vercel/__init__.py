"""Vercel without Vercel: build the project as Vercel builds it, and run what came out as Vercel runs it.

In a test:
    async with VercelFunction(build(project), env={...}, max_duration=2.0) as fn:
        ...  # speak HTTP with fn.url
"""

from tests.testkit.vercel.build import BuildError, build, kept_in, sources
from tests.testkit.vercel.bundle import Bundle
from tests.testkit.vercel.function import GRACE, Farewell, VercelFunction
from tests.testkit.vercel.instance import Instance

__all__ = ["GRACE", "BuildError", "Bundle", "Farewell", "Instance", "VercelFunction", "build", "kept_in", "sources"]
