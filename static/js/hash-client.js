// The page's end of the hash worker: one worker, one promise for each file.

import { PART_BYTES } from "./hashing.js";

const WORKER = new URL("./workers/hash-worker.js", import.meta.url);

/** Hashes files in a worker, one after the other. */
export class HashClient {
  #worker = null;
  #waiting = new Map();
  #next = 1;
  #start;

  /** @param {() => Worker} [start] how a worker is started */
  constructor(start = () => new Worker(WORKER, { type: "module" })) {
    this.#start = start;
  }

  /**
   * Hash `file`, whole and by parts.
   *
   * @param {Blob} file
   * @param {{partSize?: number, onProgress?: (hashed: number) => void, signal?: AbortSignal}}
   *   [options]
   * @returns {Promise<import("./hashing.js").Hashed>}
   * @throws {Error} the file cannot be read, or the worker cannot run
   */
  hash(file, { partSize = PART_BYTES, onProgress, signal } = {}) {
    signal?.throwIfAborted();
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      signal?.addEventListener("abort", () => this.#abort(signal.reason), { once: true });
      this.#running().postMessage({ id, file, partSize });
    });
  }

  /** Stop the worker; files that wait are given up. */
  close() {
    this.#abort(new Error("The hashing was stopped."));
  }

  #running() {
    if (this.#worker) return this.#worker;
    this.#worker = this.#start();
    this.#worker.addEventListener("message", ({ data }) => this.#receive(data));
    this.#worker.addEventListener("error", () => {
      const words = "The browser could not run the hashing program (a WebAssembly worker).";
      this.#abort(new Error(words));
    });
    return this.#worker;
  }

  #receive({ id, kind, hashed, result, message }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (kind === "progress") {
      waiting.onProgress?.(hashed);
      return;
    }
    this.#waiting.delete(id);
    if (kind === "done") waiting.resolve(result);
    else waiting.reject(new Error(`The file could not be read: ${message}`));
  }

  #abort(reason) {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
