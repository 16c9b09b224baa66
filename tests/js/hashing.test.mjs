import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { test } from "node:test";

import { HashClient } from "../../static/js/hash-client.js";
import { hashFile } from "../../static/js/hashing.js";
import { createSHA256 } from "./hasher.mjs";

const VENDORED = new URL("../../static/vendor/hash-wasm-4.13.0/index.esm.min.js", import.meta.url);

function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

function bytesOf(size) {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31) % 251);
}

for (const [size, partSize, chunkSize] of [
  [0, 10, 4],
  [1, 10, 4],
  [10, 10, 4],
  [11, 10, 4],
  [35, 10, 10],
  [35, 10, 64],
  [35, 4, 7],
]) {
  test(`${size} bytes in parts of ${partSize}, read ${chunkSize} at a time`, async () => {
    const data = bytesOf(size);
    const seen = [];
    const options = { partSize, chunkSize, createSHA256, onProgress: (at) => seen.push(at) };
    const hashed = await hashFile(new Blob([data]), options);
    const parts = [];
    for (let start = 0; start < size; start += partSize) {
      parts.push(sha256(data.subarray(start, start + partSize)));
    }
    assert.deepEqual(hashed, { sha256: sha256(data), size, partSize, parts });
    assert.equal(seen.at(-1) ?? 0, size);
  });
}

test("the pinned library gives the same digests", { skip: !existsSync(VENDORED) }, async () => {
  const library = await import(VENDORED);
  const data = bytesOf(100_000);
  const options = { partSize: 30_000, chunkSize: 16_384 };
  const file = new Blob([data]);
  const [theirs, ours] = await Promise.all([
    hashFile(file, { ...options, createSHA256: library.createSHA256 }),
    hashFile(file, { ...options, createSHA256 }),
  ]);
  assert.deepEqual(theirs, ours);
});

class FakeWorker extends EventTarget {
  sent = [];
  ended = false;

  postMessage(message) {
    this.sent.push(message);
  }

  terminate() {
    this.ended = true;
  }

  say(data) {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
}

test("one worker serves many files, and each gets its own answer", async () => {
  const worker = new FakeWorker();
  const client = new HashClient(() => worker);
  const progress = [];
  const first = client.hash("a", { onProgress: (hashed) => progress.push(hashed) });
  const second = client.hash("b");
  const [{ id: one }, { id: two }] = worker.sent;
  worker.say({ id: one, kind: "progress", hashed: 5 });
  worker.say({ id: two, kind: "error", message: "gone" });
  worker.say({ id: one, kind: "done", result: { sha256: "x" } });
  assert.deepEqual(await first, { sha256: "x" });
  assert.deepEqual(progress, [5]);
  await assert.rejects(second, /could not be read: gone/);
});

test("a worker that cannot run says so, and the next file gets a new one", async () => {
  const workers = [new FakeWorker(), new FakeWorker()];
  let started = 0;
  const client = new HashClient(() => workers[started++]);
  const first = client.hash("a");
  workers[0].dispatchEvent(new Event("error"));
  await assert.rejects(first, /WebAssembly/);
  assert.ok(workers[0].ended);
  const second = client.hash("b");
  workers[1].say({ id: workers[1].sent[0].id, kind: "done", result: 1 });
  assert.equal(await second, 1);
});

test("alice stops the hashing", async () => {
  const worker = new FakeWorker();
  const client = new HashClient(() => worker);
  const stop = new AbortController();
  const hashing = client.hash("a", { signal: stop.signal });
  stop.abort(new Error("stopped"));
  await assert.rejects(hashing, /stopped/);
  assert.ok(worker.ended);
  assert.throws(() => client.hash("b", { signal: stop.signal }), /stopped/);
});
