/**
 * The list: at most 200 lines of it are in the page, around what is looked at. A reader at the end stays there; one who
 * reads history stays where they are, whatever comes before or after.
 */
import { the } from "./dom.js";
import { draw, refresh } from "./row.js";

const SPAN = 200; // lines that are in the page
const STEP = 60; // lines by which the window moves
const NEAR = 600; // pixels from an edge at which it moves
const AT_END = 50; // pixels from the end that count as the end

export class List {
  following = true;
  #box = the("messages");
  #items = [];
  #from = 0;
  #lines = new Map(); // key -> {line, item}
  #on;

  /**
   * @param {{top(): void, moved(): void, act(name: string, id: string, button: HTMLElement): void}} on
   *   `top`: what is before the first item is wanted
   */
  constructor(on) {
    this.#on = on;
    this.#box.addEventListener("scroll", () => this.#scrolled());
    this.#box.addEventListener("click", ({ target }) => this.#press(target.closest("[data-act]")));
    // A line that loses the focus may become lower, and what is pressed would be elsewhere when it is let go.
    this.#box.addEventListener("mousedown", (event) => event.target.closest("[data-act]") && event.preventDefault());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("focusin", ({ target }) => this.#choose(target.closest(".message"), true));
    this.#box.addEventListener("focusout", ({ target }) => this.#choose(target.closest(".message"), false));
    new ResizeObserver(() => this.following && this.toEnd()).observe(this.#box);
    setInterval(() => refresh(this.#box), 30_000);
  }

  /** @param {import("./items.js").Item[]} items */
  show(items, { all = false } = {}) {
    const anchor = this.#anchor();
    const first = this.#items.slice(this.#from).find(({ kind, key }) => kind === "message" && this.#lines.has(key));
    this.#items = items;
    const span = all ? items.length : SPAN;
    const at = this.following || !first ? items.length - span : items.findIndex(({ key }) => key === first.key);
    this.#from = Math.max(0, Math.min(at, items.length - span));
    this.#draw(this.#from + span);
    this.#restore(anchor);
    this.#edges();
  }

  /** Another room: nothing of this one stays. */
  clear() {
    this.#items = [];
    this.following = true;
  }

  toEnd() {
    this.following = true;
    this.#from = Math.max(0, this.#items.length - Math.max(SPAN, this.#lines.size));
    this.#draw(this.#items.length);
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#on.moved();
  }

  // --- choosing a message

  /** The arrow keys go from message to message, so that Tab passes the whole list in one step. */
  #key(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const lines = [...this.#box.querySelectorAll(".message")];
    const at = lines.indexOf(document.activeElement.closest(".message"));
    const next = at < 0 ? lines.findLast((line) => this.#above(line)) : lines[at + step];
    event.preventDefault();
    next?.focus();
  }

  /** Whether it is in view, or above that. */
  #above(line) {
    return line.getBoundingClientRect().top < this.#box.getBoundingClientRect().bottom;
  }

  /** Tab then goes to what can be done with it; a touch screen, where that has a line of its own, shows all of it. */
  #choose(line, chosen) {
    for (const button of line?.querySelectorAll(".acts button") ?? []) button.tabIndex = chosen ? 0 : -1;
    if (line && chosen && matchMedia("(pointer: coarse)").matches) line.scrollIntoView({ block: "nearest" });
  }

  /** Some browsers give a button that is pressed no focus. */
  #press(button) {
    button?.focus({ preventScroll: true });
    if (button) this.#on.act(button.dataset.act, button.dataset.id, button);
  }

  // --- scrolling

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    const shownEnd = this.#from + this.#lines.size >= this.#items.length;
    this.following = shownEnd && scrollHeight - scrollTop - clientHeight < AT_END;
    this.#edges();
    this.#on.moved();
  }

  /** The window moves before its edge is in view. */
  #edges() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    const [last, below] = [this.#items.length - SPAN, scrollHeight - scrollTop - clientHeight];
    if (scrollTop < NEAR && this.#from === 0 && this.#items.length) this.#on.top();
    else if (scrollTop < NEAR && this.#from > 0 && !this.following) this.#move(Math.max(0, this.#from - STEP));
    else if (below < NEAR && this.#from < last && this.#lines.size <= SPAN) this.#move(Math.min(last, this.#from + STEP));
  }

  #move(from) {
    const anchor = this.#anchor();
    this.#from = from;
    this.#draw(from + SPAN);
    this.#restore(anchor);
  }

  /** The first line in view, and where it stands. */
  #anchor() {
    const top = this.#box.getBoundingClientRect().top;
    for (const [key, { line, item }] of this.#lines) {
      const place = item.kind === "message" && line.getBoundingClientRect();
      if (place && place.bottom > top) return { key, top: place.top };
    }
    return null;
  }

  #restore(anchor) {
    const line = anchor && this.#lines.get(anchor.key)?.line;
    if (this.following) this.#box.scrollTop = this.#box.scrollHeight;
    else if (line) this.#box.scrollTop += line.getBoundingClientRect().top - anchor.top;
  }

  // --- drawing

  /** Lines are kept by key and drawn anew only where their item has changed, so that what has the focus keeps it. */
  #draw(to) {
    const shown = this.#items.slice(this.#from, to);
    const before = this.#lines;
    this.#lines = new Map(shown.map((item) => [item.key, this.#line(before.get(item.key), item)]));
    for (const [key, { line }] of before) if (!this.#lines.has(key)) this.#drop(line);
    let at = this.#box.firstChild;
    for (const { line } of this.#lines.values()) {
      if (line === at) at = at.nextSibling;
      else this.#box.insertBefore(line, at);
    }
  }

  #line(known, item) {
    const line = known?.line ?? document.createElement("li");
    if (known && Object.keys(item).every((name) => item[name] === known.item[name])) return known;
    const focused = line.contains(document.activeElement) && document.activeElement;
    const { act, words } = focused ? { act: focused.dataset.act, words: focused.textContent } : {};
    draw(line, item);
    if (!focused) return { line, item };
    const button = line.querySelector(`[data-act="${act}"]`);
    if (button) button.textContent = words; // it may have asked whether it is meant
    (button ?? line).focus({ preventScroll: true });
    this.#choose(line, true);
    return { line, item };
  }

  #drop(line) {
    if (line.contains(document.activeElement)) this.#box.focus({ preventScroll: true });
    line.remove();
  }
}
