"""The npm package: packed, judged by others' tools, and installed into a consumer that compiles and runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gapless.runtime.version import __version__
from tests.testkit.need import need

# tsc alone takes seconds of the processor.
pytestmark = pytest.mark.real(seconds=5)

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
CLIENT = HERE.parents[1] / "app" / "gapless" / "web" / "client"

CONSUMER = """
import { gapless, type Message } from "gapless-client";
import { useChannel } from "gapless-client/react";

type Chat = { text: string };
const room = gapless("https://messages.example.com", { user: "ann", token: async () => "t" }).channel<Chat>("general");
const end: () => void = room.subscribe(() => {});
const sent: Message<Chat> = room.send({ text: "hi" });
const text: string = sent.data.text;
room.on("gap", (gap) => console.log(gap.missed, text));
room.on("message", ({ data }) => data.text.length);
export function Rows() {
  const { messages, state, unread } = useChannel(room);
  return messages.filter(({ data }) => data.text).length + unread + state;
}
// @ts-expect-error
room.send({ words: "hi" });
// @ts-expect-error
sent.state = "delivered";
end();
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `npm pack` makes."""
    need((MODULES / "publint").is_dir(), "npm packages: run npm install in tests/client")
    folder = tmp_path_factory.mktemp("package")
    run("npm", "pack", "--silent", "--pack-destination", folder, cwd=CLIENT)
    [packed] = folder.glob("*.tgz")
    yield packed


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_version_is_the_services() -> None:
    assert json.loads((CLIENT / "package.json").read_text())["version"] == __version__


def test_those_who_judge_packages_find_nothing(package: Path) -> None:
    run(MODULES / ".bin" / "publint", "run", package, "--strict", cwd=HERE)
    run(MODULES / ".bin" / "attw", package, "--profile", "esm-only", "--no-emoji", cwd=HERE)


@pytest.fixture
def consumer(package: Path, tmp_path: Path) -> Path:
    """A project that has the package, as it would be installed."""
    installed = tmp_path / "node_modules" / "gapless-client"
    shutil.unpack_archive(package, tmp_path, "gztar")
    installed.parent.mkdir()
    (tmp_path / "package").rename(installed)
    for name in ("react", "@types", "csstype"):
        (installed.parent / name).symlink_to(MODULES / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


@pytest.mark.parametrize(
    ("module", "resolution", "skip"),
    # The package's own types are looked at once, and TypeScript's never: the DOM's take seconds.
    [("nodenext", "nodenext", "--skipDefaultLibCheck"), ("esnext", "bundler", "--skipLibCheck")],
)
def test_a_consumer_compiles(consumer: Path, module: str, resolution: str, skip: str) -> None:
    (consumer / "use.ts").write_text(CONSUMER)
    options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "react", skip]
    tsc = MODULES / ".bin" / "tsc"
    run(tsc, *options, "--module", module, "--moduleResolution", resolution, "use.ts", cwd=consumer)


IN_NODE = """
const before = Reflect.ownKeys(globalThis).length;
const { gapless } = await import("gapless-client");
const { useChannel } = await import("gapless-client/react");
const { createElement } = await import("react");
const { renderToString } = await import("react-dom/server");
const client = gapless("https://messages.example.com", { user: "ann" });
const room = client.channel("general");
const shown = renderToString(createElement(() => JSON.stringify(useChannel(room))));
const ends = [room.subscribe(() => {}), client.subscribe(() => {})];
let refused = "";
try { room.send(1); } catch (error) { refused = error.constructor.name; }
for (const end of ends) end();
const ours = Reflect.ownKeys(globalThis).filter((key) => typeof key === "symbol" && String(key).includes("gapless"));
console.log(JSON.stringify([shown.includes("idle"), client.state, room.messages, refused, ours.length]));
"""


def test_on_a_server_it_opens_nothing_and_sends_nothing(consumer: Path) -> None:
    """Imported and rendered in Node: no global is touched, no timer is left, and sending says why not."""
    for name in ("react-dom", "scheduler"):
        (consumer / "node_modules" / name).symlink_to(MODULES / name)
    (consumer / "render.js").write_text(IN_NODE)
    said = run("node", "render.js", cwd=consumer)
    assert json.loads(said) == [True, "idle", [], "Error", 0]
