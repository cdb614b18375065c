// Firefox over WebDriver BiDi. A line in: {"tab": name, "url"} or {"tab", "script"}; a line out: {"value"} or {"error"}.
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const browser = await puppeteer.launch({ browser: "firefox", executablePath: process.argv[2], headless: true });
const tabs = new Map();
console.log(JSON.stringify({ value: await browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  const { tab, url, script } = JSON.parse(line);
  try {
    if (url) tabs.set(tab, await browser.newPage());
    const value = url ? void (await tabs.get(tab).goto(url)) : await tabs.get(tab).evaluate(script);
    console.log(JSON.stringify({ value: value ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
