/** The box in which messages are written and changed. */
import { the } from "./dom.js";

export class Composer {
  #text = the("text");
  #editing = null; // the id of the message that is changed
  #drafts = new Map(); // room -> what was begun there
  #room = "";
  #on;

  /**
   * @param {{send(text: string): void, edit(id: string, text: string): void, typing(): void, last(): void}} on
   *   `last`: the last own message shall be changed
   */
  constructor(on) {
    this.#on = on;
    the("send").addEventListener("submit", (event) => (event.preventDefault(), this.#submit()));
    the("editing").querySelector("button").addEventListener("click", () => this.cancel());
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("input", () => {
      this.#fit();
      if (this.#text.value) on.typing();
    });
  }

  /** What was begun in one room waits there; what was written before the script was here is the first room's. */
  enter(room) {
    this.cancel();
    this.#drafts.set(this.#room || room, this.#text.value);
    this.#room = room;
    the("send").querySelector(".field button").disabled = false;
    this.#text.placeholder = `Message #${room}`;
    this.#set(this.#drafts.get(room) ?? "");
  }

  edit(id, text) {
    if (!this.#editing) this.#drafts.set(this.#room, this.#text.value);
    this.#editing = id;
    the("editing").hidden = false;
    this.#set(text);
    this.#text.focus();
  }

  cancel() {
    if (!this.#editing) return;
    this.#editing = null;
    the("editing").hidden = true;
    this.#set(this.#drafts.get(this.#room) ?? "");
    this.#text.focus();
  }

  /** Enter sends, unless it ends a word of an input method (Safari says so by keyCode alone). */
  #key(event) {
    const { key, shiftKey, isComposing, keyCode } = event;
    if (isComposing || keyCode === 229) return;
    if (key === "Escape") this.cancel();
    if (key === "ArrowUp" && !this.#text.value && !this.#editing) (event.preventDefault(), this.#on.last());
    if (key === "Enter" && !shiftKey) (event.preventDefault(), this.#submit());
  }

  #submit() {
    const [text, id] = [this.#text.value.trim(), this.#editing];
    if (!text) return;
    if (id) this.cancel();
    else this.#set("");
    if (id) this.#on.edit(id, text);
    else this.#on.send(text);
    this.#text.focus();
  }

  #set(text) {
    this.#text.value = text;
    this.#fit();
  }

  /** As high as its text; CSS says how high at most. */
  #fit() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
