import assert from "node:assert/strict";
import { test } from "node:test";

import { openMemory } from "../../static/js/remembered.js";

const NOON = new Date(Date.UTC(2026, 10, 3, 12));
const ONE = new Date(Date.UTC(2026, 10, 3, 13));
const ORIGIN = "ledger.example.org";

/** A store as browsers have it, whose writes can be made to fail. */
function store(full = false) {
  const kept = new Map();
  return {
    kept,
    get length() {
      return kept.size;
    },
    key: (place) => [...kept.keys()][place] ?? null,
    getItem: (name) => kept.get(name) ?? null,
    removeItem: (name) => kept.delete(name),
    setItem(name, value) {
      if (full) throw new DOMException("full", "QuotaExceededError");
      kept.set(name, value);
    },
  };
}

const seen = (size, note = `note of ${size}`) => ({
  ...{ origin: ORIGIN, vkey: "key", policy: "quorum none\n", note, size },
});

test("the first contact is remembered, and a larger tree after it", () => {
  const memory = openMemory(store());
  assert.equal(memory.recall(ORIGIN), null);
  assert.equal(memory.remember(seen(7), null, NOON), true);
  assert.equal(memory.remember(seen(9), "note of 7", ONE), true);
  const { note, size, firstSeenAt, seenAt } = memory.recall(ORIGIN);
  assert.deepEqual([note, size], ["note of 9", 9]);
  assert.deepEqual([firstSeenAt, seenAt], [NOON.toISOString(), ONE.toISOString()]);
  assert.equal(memory.recall("other.example.org"), null);
  assert.deepEqual(memory.all(), [memory.recall(ORIGIN)]);
});

test("a smaller tree is no news: the larger one stays, the visit is noted", () => {
  const memory = openMemory(store());
  memory.remember(seen(9), null, NOON);
  assert.equal(memory.remember(seen(7), "note of 9", ONE), true);
  assert.equal(memory.recall(ORIGIN).size, 9);
  assert.equal(memory.recall(ORIGIN).seenAt, ONE.toISOString());
});

test("two pages at once: the slower one has to check again", () => {
  const memory = openMemory(store());
  memory.remember(seen(7), null, NOON);
  memory.remember(seen(9), "note of 7", NOON);
  assert.equal(memory.remember(seen(8), "note of 7", ONE), false);
  assert.equal(memory.remember(seen(20), null, ONE), false);
  assert.equal(memory.recall(ORIGIN).size, 9);
});

test("after a fork nothing of that log is remembered until the reader says so", () => {
  const memory = openMemory(store());
  memory.remember(seen(7), null, NOON);
  const fork = { origin: ORIGIN, first: "a", second: "b", words: "two trees", foundAt: "now" };
  memory.keepFork(fork);
  memory.keepFork(fork);
  assert.deepEqual(memory.forks(), [fork]);
  assert.equal(memory.remember(seen(9), "note of 7", ONE), false);
  memory.forget(ORIGIN);
  assert.deepEqual([memory.forks(), memory.recall(ORIGIN)], [[], null]);
  assert.equal(memory.remember(seen(9), null, ONE), true);
});

test("what is kept is bounded, and the newest evidence stays", () => {
  const memory = openMemory(store());
  for (let count = 0; count < 20; count += 1) {
    const fork = { origin: ORIGIN, first: "a", second: String(count) };
    memory.keepFork({ ...fork, words: "", foundAt: "" });
  }
  assert.equal(memory.forks().length, 8);
  assert.equal(memory.forks().at(-1).second, "19");
});

test("a browser that keeps nothing, or no more, remembers nothing and breaks nothing", () => {
  const none = openMemory(null);
  assert.equal(none.kept, false);
  assert.equal(none.remember(seen(7), null, NOON), false);
  none.keepFork({ origin: ORIGIN, first: "a", second: "b", words: "", foundAt: "" });
  none.forget(ORIGIN);
  assert.deepEqual([none.recall(ORIGIN), none.forks(), none.all()], [null, [], []]);
  assert.equal(openMemory(store(true)).remember(seen(7), null, NOON), false);
});

test("what another program left there is as if nothing were remembered", () => {
  const made = store();
  const memory = openMemory(made);
  memory.remember(seen(7), null, NOON);
  const whole = JSON.parse(made.kept.get(`assay-log:${ORIGIN}`));
  const lies = [
    ...["{", "null", "7", "[]", JSON.stringify({ ...whole, size: "7" })],
    ...[{ size: -1 }, { size: 1.5 }, { note: null }, { origin: "other" }].map((change) =>
      JSON.stringify({ ...whole, ...change }),
    ),
  ];
  for (const lie of lies) {
    made.kept.set(`assay-log:${ORIGIN}`, lie);
    assert.equal(memory.recall(ORIGIN), null, lie);
  }
  made.kept.set("assay-forks", JSON.stringify([null, { origin: ORIGIN }, 3]));
  assert.deepEqual(memory.forks(), []);
});
