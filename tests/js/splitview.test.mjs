// Evidence of a fork: made, printed, read and checked by strangers, as `assay.splitview` does it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError, MisuseError, VerificationError } from "../../static/js/assay/errors.js";
import { leafHash, rootOf } from "../../static/js/assay/merkle.js";
import { VKey } from "../../static/js/assay/note.js";
import {
  checkSplitView,
  cover,
  parseSplitView,
  readCover,
  renderSplitView,
} from "../../static/js/assay/splitview.js";
import { decodeHashes } from "../../static/js/assay/tiles.js";
import { bytes, json } from "./vectors.mjs";

const values = json("log/vectors.json");
const read = (/** @type {string} */ name) => new Uint8Array(bytes(`log/${name}`));
const LEAVES = [
  ...decodeHashes(read("tile/0/000"), 256),
  ...decodeHashes(read("tile/0/001.p/3"), 3),
];
const log = () => VKey.parse(values.keys.log.vkey);

function reader(leaves) {
  const from = (level, index) => leaves.slice(index << level, (index + 1) << level);
  return { read: async (level, index) => rootOf(from(level, index)) };
}

const encoder = new TextEncoder();

/** The log's other history, in which entry 10 is another one, and its signature over that. */
async function rewritten() {
  const leaves = LEAVES.with(10, await leafHash(encoder.encode("another leaf 10")));
  const root = Buffer.from(await rootOf(leaves)).toString("base64");
  const text = `${values.origin}\n${leaves.length}\n${root}\n`;
  const pkcs8 = Buffer.from(`302e020100300506032b657004220420${values.keys.log.seed}`, "hex");
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  const signature = Buffer.from(await crypto.subtle.sign("Ed25519", key, encoder.encode(text)));
  const { keyId, name } = await log();
  const line = Buffer.concat([keyId, signature]).toString("base64");
  return { leaves, note: encoder.encode(`${text}\n\u2014 ${name} ${line}\n`) };
}

const ONE_SIZE = { first: read("checkpoint"), second: read("checkpoint.fork"), left: [], right: [] };

test("two checkpoints of one size with two roots are a fork, and anyone can check it", async () => {
  const evidence = parseSplitView(renderSplitView(ONE_SIZE));
  assert.deepEqual(evidence, ONE_SIZE);
  assert.match(await checkSplitView(evidence, await log()), /signed two trees of 259 leaves/);
});

test("an honest log gives no evidence", async () => {
  const [left, right] = await Promise.all([
    readCover(0n, 200n, reader(LEAVES)),
    readCover(200n, 259n, reader(LEAVES)),
  ]);
  const grown = { first: read("checkpoint.200"), second: read("checkpoint"), left, right };
  const same = { ...ONE_SIZE, second: ONE_SIZE.first };
  for (const evidence of [grown, same]) {
    parseSplitView(renderSplitView(evidence));
    await assert.rejects(checkSplitView(evidence, await log()), VerificationError);
  }
  const bent = { ...grown, left: grown.left.with(0, new Uint8Array(32)) };
  await assert.rejects(checkSplitView(bent, await log()), /not of the newer tree/);
});

test("an older tree that the newer one does not begin with is a fork", async () => {
  const { leaves, note } = await rewritten();
  const left = await readCover(0n, 200n, reader(leaves));
  const right = await readCover(200n, 259n, reader(leaves));
  const evidence = { first: read("checkpoint.200"), second: note, left, right };
  const said = await checkSplitView(parseSplitView(renderSplitView(evidence)), await log());
  assert.match(said, /a tree of 200 leaves .* a tree of 259 leaves whose first 200 have the root/);
});

test("a key of another kind or another log shows nothing", async () => {
  const witness = await VKey.parse(values.keys.witness1.vkey);
  await assert.rejects(checkSplitView(ONE_SIZE, witness), MisuseError);
  const other = await VKey.parse(values.keys.other_log.vkey);
  await assert.rejects(checkSplitView(ONE_SIZE, other), VerificationError);
});

test("a cover is the largest subtrees from left to right, and there is one", () => {
  const named = (start, end) => cover(start, end).map(({ level, index }) => `${level}/${index}`);
  assert.deepEqual(named(0n, 0n), []);
  assert.deepEqual(named(0n, 7n), ["2/0", "1/2", "0/6"]);
  assert.deepEqual(named(3n, 9n), ["0/3", "2/1", "0/8"]);
  assert.equal(cover(1n, 2n ** 63n - 1n).length, 124);
});

for (const [what, change] of [
  ["the larger tree first", (e) => ([e.first, e.second] = [e.second, "checkpoint.200"])],
  ["a hash too many", (e) => (e.left = [Buffer.alloc(32).toString("base64")])],
  ["another type", (e) => (e.type = "urn:assay:split-view:v2")],
  ["a note that is none", (e) => (e.first = "no note")],
  ["a field too many", (e) => (e.extra = 1)],
  ["a field too few", (e) => delete e.right],
  ["hashes that are no list", (e) => (e.left = {})],
]) {
  test(`evidence with ${what} is malformed`, () => {
    const value = JSON.parse(Buffer.from(renderSplitView(ONE_SIZE)).toString());
    change(value);
    if (value.second === "checkpoint.200") value.second = bytes("log/checkpoint.200").toString();
    const data = encoder.encode(JSON.stringify(value));
    assert.throws(() => parseSplitView(data), FormatError);
  });
}

test("a hash of another length is malformed", () => {
  const [left, right] = [cover(0n, 200n), cover(200n, 259n)].map((subtrees) =>
    subtrees.map(() => new Uint8Array(31)),
  );
  const evidence = { first: read("checkpoint.200"), second: read("checkpoint"), left, right };
  assert.throws(() => renderSplitView(evidence), FormatError);
});
