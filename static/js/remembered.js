// What this browser has seen of each log, kept in localStorage and shared by every page.
//
// The rules:
//
// 1. First contact is trusted: the log's key, the witness policy and the checkpoint of that day.
// 2. Only who has checked that a checkpoint continues the one remembered may replace it, and says
//    which one that was: where another tab was faster, nothing is written and `remember` says so.
// 3. Nothing shrinks. A smaller tree is an older view: it is compared, and never remembered.
// 4. Evidence of a fork stays until the reader removes it, and no later checkpoint replaces the
//    remembered one before: a server that shows both histories in turn is told each time.
//
// What is read here was written by a page of this origin, so it is no more than a memory: a note
// from it counts once its signatures are verified again.
//
//     const memory = openMemory();
//     const before = memory.recall("ledger.example.org");   // null at first contact
//     memory.remember({ origin, vkey, policy, note, size }, before?.note ?? null, new Date());

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const PREFIX = "assay-log:";
const FORKS = "assay-forks";
const MOST_FORKS = 8;
const TEXTS = ["origin", "vkey", "policy", "note", "firstSeenAt", "seenAt"];

/**
 * @typedef {{origin: string, vkey: string, policy: string, note: string, size: number}} Seen
 *   the log's verifier key, the text of the witness policy, the signed note of a checkpoint, and
 *   the tree size in it
 * @typedef {Seen & {firstSeenAt: string, seenAt: string}} Remembered the times in RFC 3339, UTC
 * @typedef {{origin: string, first: string, second: string, words: string, foundAt: string,
 *   evidence?: string}} Fork two signed notes that cannot both be true, the one seen first in front;
 *   `evidence` is the document that `assay split-view` checks, where the hashes for it could be had
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">} Store
 */

/**
 * Return the memory of this browser. A browser that keeps nothing (a private window, storage
 * switched off) has an empty one, and `kept` says so.
 *
 * @param {Store | null} [store]
 */
export function openMemory(store = browserStore()) {
  return {
    /** Whether anything can be remembered here. */
    kept: store !== null,

    /** @param {string} origin @returns {Remembered | null} */
    recall: (origin) => readRemembered(store, origin),

    /** @returns {Remembered[]} everything that is remembered, by origin */
    all: () => names(store).map((origin) => readRemembered(store, origin)).filter(Boolean),

    /**
     * Remember what was seen, if `replacing` is still the note that is remembered.
     *
     * @param {Seen} seen checked against `replacing`, whole
     * @param {string | null} replacing the note that was recalled, null for none
     * @param {Date} now
     * @returns {boolean} false: another page was faster, so recall and check once more; or a fork
     *   of this log is known; or nothing can be kept
     */
    remember(seen, replacing, now) {
      if (!store || readForks(store).some(({ origin }) => origin === seen.origin)) return false;
      const before = readRemembered(store, seen.origin);
      if ((before?.note ?? null) !== replacing) return false;
      const larger = !before || seen.size > before.size;
      const newest = larger ? seen : { ...seen, note: before.note, size: before.size };
      const at = now.toISOString();
      const kept = { ...newest, firstSeenAt: before?.firstSeenAt ?? at, seenAt: at };
      return write(store, PREFIX + seen.origin, kept);
    },

    /** @param {string} origin what is remembered of it, and its forks, are removed */
    forget(origin) {
      store?.removeItem(PREFIX + origin);
      if (store) write(store, FORKS, readForks(store).filter((fork) => fork.origin !== origin));
    },

    /** @returns {Fork[]} the evidence that the reader has not removed, oldest first */
    forks: () => readForks(store),

    /**
     * Keep evidence of a fork; the same two notes are kept once.
     *
     * @param {Fork} fork
     */
    keepFork(fork) {
      const forks = readForks(store);
      const same = ({ first, second }) => first === fork.first && second === fork.second;
      if (store && !forks.some(same)) write(store, FORKS, [...forks, fork].slice(-MOST_FORKS));
    },
  };
}

/** @typedef {ReturnType<typeof openMemory>} Memory */

/**
 * Return the fork that an error tells of.
 *
 * @param {{first: Uint8Array, second: Uint8Array, message: string, evidence?: Uint8Array}} error
 *   a SplitViewError
 * @param {Date} now
 * @returns {Fork}
 */
export function forkOf(error, now) {
  const [first, second] = [error.first, error.second].map((note) => decoder.decode(note));
  const [origin] = first.split("\n", 1);
  const evidence = error.evidence ? { evidence: decoder.decode(error.evidence) } : {};
  return { origin, first, second, words: error.message, foundAt: now.toISOString(), ...evidence };
}

function browserStore() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // a browser that keeps nothing says so by an error
  }
}

function names(store) {
  const all = Array.from({ length: store?.length ?? 0 }, (_, place) => store.key(place) ?? "");
  const ours = all.filter((name) => name.startsWith(PREFIX));
  return ours.map((name) => name.slice(PREFIX.length)).sort();
}

function readRemembered(store, origin) {
  const kept = read(store, PREFIX + origin);
  const whole =
    kept !== null &&
    TEXTS.every((name) => typeof kept[name] === "string") &&
    Number.isSafeInteger(kept.size) &&
    kept.size >= 0 &&
    kept.origin === origin;
  return whole ? kept : null;
}

function readForks(store) {
  const kept = read(store, FORKS);
  const names = ["origin", "first", "second", "words", "foundAt"];
  const whole = (fork) => names.every((name) => typeof fork?.[name] === "string");
  return Array.isArray(kept) ? kept.filter(whole) : [];
}

function read(store, name) {
  try {
    return JSON.parse(store?.getItem(name) ?? "null");
  } catch {
    return null; // not ours, or cut: as if nothing were remembered
  }
}

function write(store, name, value) {
  try {
    store.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false; // full, or switched off meanwhile
  }
}
