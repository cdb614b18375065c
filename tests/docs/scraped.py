"""How Prometheus is told to scrape: a service is asked as that says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from tests.docs.recipes import serving

if TYPE_CHECKING:
    from tests.docs.blocks import Block
    from tests.docs.stranger import Stranger

TOKEN = "what the file of the page holds, which is long enough"


async def scrapes(stranger: Stranger, block: Block, argument: str) -> None:
    """With the token of the file, and not without; at the path that is Prometheus's own default."""
    (job,) = yaml.safe_load(block.text)["scrape_configs"]
    assert job.keys() == {"job_name", "authorization", "static_configs"} and job["job_name"] == "gapless"
    header = {"Authorization": f"{job['authorization']['type']} {TOKEN}"}
    async with serving(stranger, metrics=True, metrics_token=TOKEN) as http:
        assert (await http.get("/metrics")).status_code == 401
        reply = await http.get("/metrics", headers=header)
        assert reply.status_code == 200 and "gapless_streams_open 0.0" in reply.text
