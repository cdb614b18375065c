"""An emulator of Upstash's REST API over a real Valkey, with exact counts and faults on request."""

from tests.testkit.upstash.emulator import READ_ONLY_TOKEN, TOKEN, UpstashEmulator
from tests.testkit.upstash.faults import Armed, Faults, Seen
from tests.testkit.upstash.process import EmulatorProcess

__all__ = ["READ_ONLY_TOKEN", "TOKEN", "Armed", "EmulatorProcess", "Faults", "Seen", "UpstashEmulator"]
