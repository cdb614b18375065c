import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Echo } from "../../app/gapless/web/client/echo.js";

let at, restarted, echo;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
  [at, restarted] = ["t9x2k0ab-1-aaaa", 0];
  echo = new Echo(
    () => at,
    () => (restarted += 1),
  );
});

test("what a live stream does not show within 5 s restarts it, once a minute", () => {
  echo.expect("c", "t9x2k0ab-2-aaaa");
  mock.timers.tick(4999);
  assert.equal(restarted, 0);
  mock.timers.tick(1);
  assert.equal(restarted, 1);
  echo.expect("c", "t9x2k0ab-3-aaaa");
  mock.timers.tick(5000);
  assert.equal(restarted, 1);
  mock.timers.tick(60_000);
  echo.expect("c", "t9x2k0ab-4-aaaa");
  mock.timers.tick(5000);
  assert.equal(restarted, 2);
});

test("what was shown, and what is not live, restarts nothing", () => {
  echo.expect("c", "t9x2k0ab-2-aaaa");
  at = "t9x2k0ab-2-aaaa";
  mock.timers.tick(5000);
  echo.expect("c", "t9x2k0ab-3-aaaa");
  at = null;
  mock.timers.tick(5000);
  assert.equal(restarted, 0);
});
