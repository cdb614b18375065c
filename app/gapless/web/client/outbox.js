/**
 * What is written and not sent, kept over reloads and crashes; and the read marks.
 *
 * An item is kept when its transaction is complete, not when its request succeeded. Order is by an automatic key: clocks
 * lie. Without usable storage all is kept in memory, and the page is told.
 */

const PATIENCE = 2000; // milliseconds: an old tab may block the upgrade for ever
const FORMAT = 1;
const MEMORY_KEYS = 2 ** 40; // above all keys of the database, whose items may be held beside

/** The same as the database, for as long as the page lives. */
export class Memory {
  #items = new Map();
  #marks = new Map();
  #next = MEMORY_KEYS;

  async add(item) {
    const order = this.#next++;
    this.#items.set(order, { ...item, order });
    return order;
  }

  async put(item) {
    if (this.#items.has(item.order)) this.#items.set(item.order, item);
  }

  async get(order) {
    return this.#items.get(order);
  }

  async remove(order) {
    this.#items.delete(order);
  }

  async items() {
    return [...this.#items.values()].sort((a, b) => a.order - b.order);
  }

  async mark(channel, position) {
    if (position !== undefined) this.#marks.set(channel, position);
    return this.#marks.get(channel);
  }

  async clear() {
    this.#items.clear();
    this.#marks.clear();
  }

  close() {}
}

class Database {
  #db;

  constructor(db) {
    this.#db = db;
  }

  /** Runs one request, and waits until what it wrote is there. */
  #run(name, mode, ask) {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(name, mode);
      const request = ask(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
    });
  }

  add(item) {
    return this.#run("outbox", "readwrite", (store) => store.add(item));
  }

  put(item) {
    return this.#run("outbox", "readwrite", (store) => {
      const request = store.get(item.order);
      request.onsuccess = () => request.result && store.put(item);
      return request;
    });
  }

  get(order) {
    return this.#run("outbox", "readonly", (store) => store.get(order));
  }

  remove(order) {
    return this.#run("outbox", "readwrite", (store) => store.delete(order));
  }

  items() {
    return this.#run("outbox", "readonly", (store) => store.getAll());
  }

  async mark(channel, position) {
    if (position !== undefined) await this.#run("marks", "readwrite", (store) => store.put(position, channel));
    return this.#run("marks", "readonly", (store) => store.get(channel));
  }

  async clear() {
    for (const name of ["outbox", "marks"]) await this.#run(name, "readwrite", (store) => store.clear());
  }

  close() {
    this.#db.close();
  }
}

function openDatabase(name) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the storage does not open")), PATIENCE);
    const request = indexedDB.open(name, FORMAT);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("outbox", { keyPath: "order", autoIncrement: true });
      request.result.createObjectStore("marks");
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      clearTimeout(late);
      request.result.onversionchange = () => request.result.close(); // a newer version's tab waits for it
      resolve(new Database(request.result));
    };
  });
}

/** The database, or memory from the first failure on. Writes are done in the order of the calls. */
export class Outbox {
  #name;
  #onProblem;
  #store = null;
  #memory = new Memory();
  #last = Promise.resolve();

  /**
   * @param {string} name of the database: whose it is
   * @param {"indexeddb" | "memory"} kind
   * @param {(problem: object) => void} onProblem
   */
  constructor(name, kind, onProblem) {
    this.#name = name;
    this.#onProblem = onProblem;
    if (kind === "memory") this.#store = this.#memory;
  }

  add(item) {
    return this.#do("add", item);
  }

  /** Changes an item; one that is not there any more stays away. */
  put(item) {
    return this.#do("put", item);
  }

  /** undefined: it is not there any more. */
  get(order) {
    return this.#do("get", order);
  }

  remove(order) {
    return this.#do("remove", order);
  }

  /** All items, oldest first. */
  items() {
    return this.#do("items");
  }

  /** The read mark of a channel, after it was set where a position is given. */
  mark(channel, position) {
    return this.#do("mark", channel, position);
  }

  clear() {
    return this.#do("clear");
  }

  /** Lets go of the database; the next call opens it again. */
  close() {
    this.#last = this.#last.then(() => {
      if (this.#store === this.#memory) return;
      this.#store?.close();
      this.#store = null;
    });
  }

  #do(...call) {
    const done = this.#last.then(() => this.#now(...call));
    this.#last = done.catch(() => {});
    return done;
  }

  async #now(method, ...rest) {
    try {
      this.#store ??= await openDatabase(this.#name);
      return await this.#store[method](...rest);
    } catch (error) {
      if (this.#store === this.#memory) throw error;
      this.#store = this.#memory;
      this.#onProblem({ kind: "storage", detail: `What is not sent yet is lost with this page: ${error?.message ?? error}` });
      return this.#memory[method](...rest);
    }
  }
}
