import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { ApiError, requestFrom } from "../../static/js/api.js";
import { hashFile } from "../../static/js/hashing.js";
import { partSizeFor, uploadFile } from "../../static/js/uploads.js";
import { pauseFor } from "../../static/js/waiting.js";
import { createSHA256 } from "./hasher.mjs";
import { UploadServer, problem } from "./upload-server.mjs";

const PART = 10;
let server;
let base;

beforeEach(async () => {
  server = new UploadServer();
  base = await server.start();
});
afterEach(() => server.stop());

function fileOf(size) {
  return new Blob([Uint8Array.from({ length: size }, (_, index) => (index * 7) % 256)]);
}

function hash(file, partSize = PART) {
  return hashFile(file, { partSize, createSHA256 });
}

async function upload(file, { hashed, ...more } = {}) {
  const events = [];
  const pauses = [];
  const options = {
    request: (method, path, rest) => requestFrom(base, method, path, rest),
    rehash: (partSize) => hash(file, partSize),
    onEvent: (event) => events.push(event),
    pause: async (seconds) => void pauses.push(seconds),
    ...more,
  };
  const result = await uploadFile(file, hashed ?? (await hash(file)), options);
  return { ...result, events, pauses };
}

async function digest(file) {
  return createHash("sha256").update(Buffer.from(await file.arrayBuffer())).digest("hex");
}

test("a file arrives whole, three parts at a time", async () => {
  let release;
  const three = new Promise((resolve) => (release = resolve));
  server.faults = async () => {
    if (server.open === 3) release();
    await three;
    return null;
  };
  const file = fileOf(64);
  const { sent, sha256, events } = await upload(file);
  assert.equal(sent, 7);
  assert.equal(server.mostOpen, 3);
  assert.deepEqual(server.stored.get(sha256), Buffer.from(await file.arrayBuffer()));
  assert.equal(sha256, await digest(file));
  const bytes = events.filter(({ kind }) => kind === "sending").map((event) => event.sent);
  assert.equal(bytes[0], 0);
  assert.equal(bytes.at(-1), 64);
  assert.deepEqual(bytes, [...bytes].sort((a, b) => a - b));
  assert.deepEqual(events.at(-1), { kind: "stored", sent: 7 });
});

test("parts that arrive in another order make the same file", async () => {
  const waiting = [];
  server.faults = async (number) => {
    // The first part is held back until the last one has come.
    if (number === 0) await new Promise((resolve) => waiting.push(resolve));
    if (number === 3) waiting.forEach((resolve) => resolve());
    return null;
  };
  const { sent } = await upload(fileOf(40));
  assert.equal(sent, 4);
  assert.equal(server.stored.size, 1);
});

test("what is stored already is not sent", async () => {
  const file = fileOf(30);
  await upload(file);
  server.received.length = 0;
  const { sent, events } = await upload(file);
  assert.equal(sent, 0);
  assert.deepEqual(server.received, []);
  assert.deepEqual(events, [{ kind: "stored", sent: 0 }]);
});

test("an empty file is stored without a part", async () => {
  const { sent, sha256 } = await upload(fileOf(0));
  assert.equal(sent, 0);
  assert.equal(server.stored.get(sha256).length, 0);
});

test("a part that meets a 503 and a broken line is sent again", async () => {
  let failures = 0;
  server.faults = (number) => {
    if (number !== 1 || failures === 3) return null;
    failures += 1;
    if (failures === 1) return problem(503, "busy", "Later.", {}, { "Retry-After": "7" });
    return failures === 2 ? "hang up" : [502, "a proxy's page"];
  };
  const { events, pauses } = await upload(fileOf(25));
  const retries = events.filter(({ kind }) => kind === "retrying");
  assert.deepEqual(
    retries.map(({ part, attempt }) => [part, attempt]),
    [
      [1, 1],
      [1, 2],
      [1, 3],
    ],
  );
  assert.equal(pauses[0], 7);
  assert.ok(pauses[1] >= 0.5 && pauses[1] <= 1, `second pause ${pauses[1]}`);
  assert.ok(pauses[2] >= 1 && pauses[2] <= 2, `third pause ${pauses[2]}`);
  assert.equal(server.stored.size, 1);
});

test("a server that stays away is given up, and nothing that was sent is lost", async () => {
  const file = fileOf(50);
  server.faults = (number) => (number === 2 ? problem(503, "busy", "Later.") : null);
  await assert.rejects(upload(file), { code: "busy", status: 503 });
  const before = new Set(server.uploads.get("upload-1").parts.keys());
  assert.ok(before.has(0) && before.has(1) && !before.has(2));

  server.faults = () => null;
  server.received.length = 0;
  const { sent, events } = await upload(file);
  assert.equal(sent, 5 - before.size);
  assert.ok(server.received.every((number) => !before.has(number)));
  assert.deepEqual(events[0], { kind: "resumed", missing: 5 - before.size, parts: 5 });
  assert.equal(server.stored.size, 1);
});

test("a refused part is not sent again, and both digests are told", async () => {
  const file = fileOf(30);
  const hashed = await hash(file);
  hashed.parts[1] = "ab".repeat(32);
  await assert.rejects(upload(file, { hashed }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.code, "digest_mismatch");
    assert.equal(error.detail.number, 1);
    assert.notEqual(error.detail.expected, error.detail.found);
    return true;
  });
  assert.equal(server.received.filter((number) => number === 1).length, 1);
});

test("a whole that differs ends with both digests", async () => {
  const file = fileOf(30);
  const hashed = { ...(await hash(file)), sha256: "cd".repeat(32) };
  await assert.rejects(upload(file, { hashed }), {
    code: "digest_mismatch",
    detail: { expected: hashed.sha256, found: await digest(file) },
  });
});

test("a part that the server lost is asked for and sent again", async () => {
  const file = fileOf(30);
  let lost = false;
  const request = async (method, path, rest) => {
    if (path.endsWith("/complete") && !lost) {
      lost = true;
      server.uploads.get("upload-1").parts.delete(1);
    }
    return requestFrom(base, method, path, rest);
  };
  const { sent } = await upload(file, { request });
  assert.equal(server.stored.size, 1);
  assert.equal(sent, 1); // of the round that succeeded
});

test("the page waits while the server hashes a large file", async () => {
  server.joinPolls = 3;
  const { events, pauses } = await upload(fileOf(30));
  assert.equal(server.polls, 3);
  assert.equal(pauses.length, 3);
  assert.deepEqual(events.at(-2), { kind: "checking" });
});

test("a server that wants other parts gets them, with their digests", async () => {
  server.partSize = 16;
  const { sent } = await upload(fileOf(40));
  assert.equal(sent, 3);
  assert.equal(server.stored.size, 1);
});

test("alice stops an upload in the middle", async () => {
  const stop = new AbortController();
  server.faults = () => {
    stop.abort(new Error("stopped"));
    return null;
  };
  await assert.rejects(upload(fileOf(100), { signal: stop.signal }));
  assert.ok(server.received.length <= 3);
});

test("a pause ends early when the upload is stopped", async () => {
  const stop = new AbortController();
  const pausing = pauseFor(3600, stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(pausing, /stopped/);
});

test("huge files come in larger parts, never more than 10000", () => {
  assert.equal(partSizeFor(10), 8 * 2 ** 20);
  const size = 500 * 2 ** 30;
  assert.ok(Math.ceil(size / partSizeFor(size)) <= 10_000);
});
