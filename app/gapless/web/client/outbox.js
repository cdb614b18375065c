/**
 * What is written and not sent, kept over reloads and crashes; and the read marks.
 *
 * An item is kept when its transaction is complete, not when its request succeeded. Order is by an automatic key: clocks
 * lie. Without usable storage all is kept in memory, and the page is told.
 */

const PATIENCE = 2000; // milliseconds: an old tab may block the upgrade for ever
const FORMAT = 1;
const MEMORY_KEYS = 2 ** 40; // above all keys of the database, whose items may be held beside

/** An object store for as long as the page lives. Its requests have succeeded when they are made. */
class Shelf {
  #values = new Map();
  #next = MEMORY_KEYS;

  add(item) {
    const order = this.#next++;
    return this.put({ ...item, order }, order);
  }

  put(value, key = value.order) {
    this.#values.set(key, value);
    return done(key);
  }

  get(key) {
    return done(this.#values.get(key));
  }

  getAll() {
    return done([...this.#values.values()]);
  }

  delete(key) {
    return done(this.#values.delete(key));
  }

  clear() {
    return done(this.#values.clear());
  }
}

const done = (result) => ({
  result,
  set onsuccess(act) {
    act();
  },
});

/** A function that asks an object store, and whose promise is kept when what was written is there. */
function inMemory() {
  const shelves = { outbox: new Shelf(), marks: new Shelf() };
  return { run: async (name, ask) => ask(shelves[name]).result, close() {} };
}

/** The same in a database. @returns {Promise<{run(name: string, ask: (store: any) => any): Promise<any>, close(): void}>} */
function inDatabase(name) {
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
      const db = request.result;
      const close = (db.onversionchange = () => db.close()); // a newer version's tab waits for it
      resolve({ run: (...asked) => inTransaction(db, ...asked), close });
    };
  });
}

function inTransaction(db, name, ask) {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(name, "readwrite");
    const request = ask(transaction.objectStore(name));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
  });
}

/** The database, or memory from the first failure on. Writes are done in the order of the calls. */
export class Outbox {
  #name;
  #onProblem;
  #store = null;
  #memory = inMemory();
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
    return this.#run("outbox", (store) => store.add(item));
  }

  /** Changes an item; one that is not there any more stays away. */
  put(item) {
    return this.#run("outbox", (store) => {
      const request = store.get(item.order);
      request.onsuccess = () => request.result && store.put(item);
      return request;
    });
  }

  /** undefined: it is not there any more. */
  get(order) {
    return this.#run("outbox", (store) => store.get(order));
  }

  remove(order) {
    return this.#run("outbox", (store) => store.delete(order));
  }

  /** All items, oldest first. */
  items() {
    return this.#run("outbox", (store) => store.getAll());
  }

  /** The read mark of a channel, after it was set where a position is given. */
  mark(channel, position) {
    return this.#run("marks", (store) => {
      if (position !== undefined) store.put(position, channel);
      return store.get(channel);
    });
  }

  clear() {
    this.#run("marks", (store) => store.clear());
    return this.#run("outbox", (store) => store.clear());
  }

  /** Lets go of the database; the next call opens it again. */
  close() {
    this.#last = this.#last.then(() => {
      if (this.#store === this.#memory) return;
      this.#store?.close();
      this.#store = null;
    });
  }

  #run(...asked) {
    const result = this.#last.then(() => this.#now(...asked));
    this.#last = result.catch(() => {});
    return result;
  }

  async #now(...asked) {
    try {
      this.#store ??= await inDatabase(this.#name);
      return await this.#store.run(...asked);
    } catch (error) {
      if (this.#store === this.#memory) throw error;
      this.#store = this.#memory;
      this.#onProblem({ kind: "storage", detail: `What is not sent yet is lost with this page: ${error?.message ?? error}` });
      return this.#memory.run(...asked);
    }
  }
}
