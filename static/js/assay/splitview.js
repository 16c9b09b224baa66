// Portable evidence that a log signed two trees that cannot be one.
//
// A stranger checks it with the log's key alone: two signatures, and hashes. Two forms: two signed
// checkpoints of one size with different roots; or of different sizes, with the hashes of complete
// subtrees of the newer tree, which together give the newer root, while those on the left give
// another root than the older checkpoint has.
//
//     const evidence = parseSplitView(bytes);
//     show(await checkSplitView(evidence, await VKey.parse(pinnedVkey)));

import { decodeBase64, encodeBase64 } from "./base64.js";
import { asList, asObject, asText, canonicalJson, decodeUtf8, parseJson } from "./canonical.js";
import { parseCheckpoint } from "./checkpoint.js";
import { equalBytes, toHex } from "./digests.js";
import { FormatError, MisuseError, VerificationError } from "./errors.js";
import { EMPTY_ROOT, nodeHash } from "./merkle.js";
import { ED25519, openNote, parseNote } from "./note.js";

export const SPLIT_VIEW = "urn:assay:split-view:v1";
const FIELDS = ["type", "first", "second", "left", "right"];
const HASH_BYTES = 32;
const encoder = new TextEncoder();

/**
 * Two signed notes, the one of the smaller tree first, and what ties them together: 32-byte hashes
 * in the order of `cover`, both lists empty for equal sizes.
 *
 * @typedef {{first: Uint8Array, second: Uint8Array, left: readonly Uint8Array[],
 *   right: readonly Uint8Array[]}} SplitView
 */

/**
 * Return the complete subtrees that cover the leaves `start`…`end`-1, from left to right: each the
 * 2^`level` leaves from `index` · 2^`level` on, and always the largest that fits.
 *
 * @param {bigint} start
 * @param {bigint} end
 * @returns {{level: number, index: bigint}[]}
 */
export function cover(start, end) {
  const subtrees = [];
  for (let at = start; at < end; ) {
    let level = (end - at).toString(2).length - 1;
    if (at) level = Math.min(level, (at & -at).toString(2).length - 1);
    subtrees.push({ level, index: at >> BigInt(level) });
    at += 1n << BigInt(level);
  }
  return subtrees;
}

/**
 * Return the hashes of `cover(start, end)`.
 *
 * @param {bigint} start
 * @param {bigint} end
 * @param {import("./merkle.js").HashReader} reader
 * @returns {Promise<Uint8Array[]>}
 * @throws whatever `reader` throws
 */
export function readCover(start, end, reader) {
  const subtrees = cover(start, end);
  return Promise.all(subtrees.map(({ level, index }) => reader.read(level, Number(index))));
}

/**
 * Return evidence as JSON (RFC 8785).
 *
 * @param {SplitView} evidence
 * @returns {Uint8Array}
 * @throws {FormatError} not two signed checkpoints, or not the hashes that their sizes ask for
 */
export function renderSplitView(evidence) {
  read(evidence);
  return canonicalJson({
    type: SPLIT_VIEW,
    first: decodeUtf8(evidence.first, "first"),
    second: decodeUtf8(evidence.second, "second"),
    left: evidence.left.map(encodeBase64),
    right: evidence.right.map(encodeBase64),
  });
}

/**
 * Read evidence, syntax only: `checkSplitView` says whether it is any.
 *
 * @param {Uint8Array} data
 * @returns {SplitView}
 * @throws {FormatError} not the JSON, not two signed checkpoints with the smaller tree first, a
 *   hash that is not 32 bytes, or another number of hashes than the sizes ask for
 */
export function parseSplitView(data) {
  const value = parseJson(data, { path: "split view" });
  const fields = asObject(value, "split view", { required: FIELDS });
  if (fields.type !== SPLIT_VIEW) throw new FormatError(`is not '${SPLIT_VIEW}'`, "type");
  const evidence = Object.freeze({
    first: encoder.encode(asText(fields.first, "first")),
    second: encoder.encode(asText(fields.second, "second")),
    left: hashes(fields.left, "left"),
    right: hashes(fields.right, "right"),
  });
  read(evidence);
  return evidence;
}

function hashes(value, path) {
  return asList(value, path).map((item, index) => decodeBase64(item, `${path}[${index}]`));
}

/** Return the two checkpoints; everything that is syntax holds when this returns. */
function read(evidence) {
  const [old, recent] = [readCheckpoint(evidence, "first"), readCheckpoint(evidence, "second")];
  if (old.size > recent.size) throw new FormatError("the smaller tree comes first", "first");
  const same = old.size === recent.size;
  for (const [name, subtrees] of [
    ["left", same ? [] : cover(0n, old.size)],
    ["right", cover(old.size, recent.size)],
  ]) {
    const found = evidence[name];
    if (found.length !== subtrees.length) {
      const message = `has ${found.length} hashes; the sizes ask for ${subtrees.length}`;
      throw new FormatError(message, name);
    }
    if (found.some((value) => value.length !== HASH_BYTES)) {
      throw new FormatError(`a hash is ${HASH_BYTES} bytes`, name);
    }
  }
  return { old, recent };
}

function readCheckpoint(evidence, name) {
  try {
    return parseCheckpoint(parseNote(evidence[name]).text);
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(error.message, name);
    throw error;
  }
}

/**
 * Return one sentence that says what `evidence` shows against the log with the key `log`.
 *
 * 1. Two signed checkpoints with the hashes that their sizes ask for.
 * 2. Both are of the origin that the key is named for, and the key signed both.
 * 3. Equal sizes: the roots differ. Otherwise the hashes give the newer root, and those on the left
 *    give another root than the older one.
 *
 * Witnesses are not asked for: a log lies by its own signature.
 *
 * @param {SplitView} evidence
 * @param {import("./note.js").VKey} log
 * @returns {Promise<string>}
 * @throws {MisuseError} `log` is no log's key (type 01)
 * @throws {FormatError} step 1
 * @throws {VerificationError} step 2 or 3: it shows no fork of this log
 */
export async function checkSplitView(evidence, log) {
  if (log.kind !== ED25519) {
    throw new MisuseError(`${log} is no key of a log, which has type 01`);
  }
  const { old, recent } = read(evidence);
  for (const [checkpoint, note] of [
    [old, evidence.first],
    [recent, evidence.second],
  ]) {
    if (checkpoint.origin !== log.name) {
      throw new VerificationError("a checkpoint of another log", {
        expected: log.name,
        found: checkpoint.origin,
      });
    }
    await openNote(note, [log]);
  }
  return old.size === recent.size ? oneSize(old, recent) : twoSizes(old, recent, evidence);
}

function oneSize(old, recent) {
  if (equalBytes(old.root, recent.root)) {
    throw new VerificationError("no split view: both checkpoints are of one tree");
  }
  return (
    `${old.origin} signed two trees of ${old.size} leaves: ` +
    `one has the root ${toHex(old.root)}, the other ${toHex(recent.root)}`
  );
}

async function twoSizes(old, recent, { left, right }) {
  const start = cover(0n, old.size);
  const begins = await rootOver(start, left);
  const subtrees = [...start, ...cover(old.size, recent.size)];
  const whole = await rootOver(subtrees, [...left, ...right]);
  if (!equalBytes(whole, recent.root)) {
    throw new VerificationError("the hashes are not of the newer tree", {
      expected: toHex(recent.root),
      found: toHex(whole),
    });
  }
  if (equalBytes(begins, old.root)) {
    throw new VerificationError("no split view: the newer tree begins with the older one");
  }
  return (
    `${old.origin} signed a tree of ${old.size} leaves with the root ${toHex(old.root)}, and a ` +
    `tree of ${recent.size} leaves whose first ${old.size} have the root ${toHex(begins)}`
  );
}

/** Return the root over `subtrees`, which cover a whole tree from its first leaf on. */
async function rootOver(subtrees, values) {
  const waiting = [];
  for (const [place, { index }] of subtrees.entries()) {
    let node = values[place];
    // A right sibling: the left one is the last that waits.
    for (let at = index; at & 1n; at >>= 1n) node = await nodeHash(waiting.pop(), node);
    waiting.push(node);
  }
  let root = waiting.pop() ?? EMPTY_ROOT;
  while (waiting.length) root = await nodeHash(waiting.pop(), root);
  return root;
}
