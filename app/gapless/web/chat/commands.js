/**
 * How many commands the service has sent to its store, where the reader may know it: by `GET /readyz`, which tells
 * administrators, and this machine where there are no keys. A script is one command, whatever it calls inside.
 */
export class Commands {
  /** Since the process began that answered last; null where it does not say. */
  total = null;
  #first = null;

  /** Since the first look. */
  get since() {
    return this.total === null ? null : this.total - this.#first;
  }

  /** Ask; this costs a check of the store, at most one a second. @throws {TypeError} where the service does not answer */
  async look() {
    const reply = await fetch("readyz", { cache: "no-store" });
    const { commands = null } = reply.ok ? await reply.json() : {};
    // A lower number is that of another process, or of one that has begun anew.
    if (this.total === null || commands < this.total) this.#first = commands;
    this.total = commands;
  }
}
