// The Merkle tree of RFC 6962 and RFC 9162: computing, checking and making proofs.
//
// The rules are those of `assay.merkle`: a leaf is hashed with the prefix 00, an inner node with
// 01; every hash is 32 bytes; a proof has exactly one length for its sizes; a proof is computed and
// then compared with a root that the caller got from signed text. Sizes and indices are bigints.
//
//     await checkInclusion(await leafHash(entry), 256n, 259n, proof, checkpoint.root);

import { concat, equalBytes, fromHex, sha256, toHex } from "./digests.js";
import { FormatError, MisuseError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";

const HASH_BYTES = 32;
const MAX_SIZE = 2n ** 63n;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The 32-byte root of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT = fromHex(
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
);

/**
 * Where the maker of a proof gets the hashes of complete subtrees (`TileReader` of tiles.js).
 *
 * @typedef {{read: (level: number, index: number) => Promise<Uint8Array>}} HashReader
 */

/**
 * Return the 32-byte leaf hash SHA-256(00 ‖ entry) (RFC 9162, section 2.1.1).
 *
 * @param {Uint8Array} entry
 * @returns {Promise<Uint8Array>}
 */
export function leafHash(entry) {
  return sha256(concat([LEAF, entry]));
}

/**
 * Return the 32-byte node hash SHA-256(01 ‖ left ‖ right) (RFC 9162, section 2.1.1).
 *
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 * @returns {Promise<Uint8Array>}
 */
export function nodeHash(left, right) {
  return sha256(concat([NODE, left, right]));
}

/**
 * Return the root over `leaves`, which are 32-byte leaf hashes; all are held in memory.
 *
 * @param {readonly Uint8Array[]} leaves
 * @returns {Promise<Uint8Array>}
 */
export async function rootOf(leaves) {
  let row = [...leaves];
  while (row.length > 1) {
    // A hash without a neighbour moves up unchanged, which is the split of RFC 9162.
    const odd = row.length % 2 ? row.slice(-1) : [];
    const pairs = Array.from({ length: (row.length - odd.length) / 2 }, (_, place) => place * 2);
    row = [...(await Promise.all(pairs.map((at) => nodeHash(row[at], row[at + 1])))), ...odd];
  }
  return row[0] ?? EMPTY_ROOT;
}

/**
 * Return the root that `proof` gives for `leaf` as entry `index` of a tree of `size` leaves.
 *
 * @param {Uint8Array} leaf 32 bytes
 * @param {bigint | number} index
 * @param {bigint | number} size
 * @param {readonly Uint8Array[]} proof 32 bytes each, upward, the leaf's sibling first
 * @returns {Promise<Uint8Array>}
 * @throws {FormatError} a hash of another length, more than 63 of them, a number outside 0…2^63-1
 * @throws {VerificationError} the tree has no such entry, or its proofs have another length
 */
export async function inclusionRoot(leaf, index, size, proof) {
  checkFormat([index, size], [leaf], proof);
  let [node, last, root] = [BigInt(index), BigInt(size) - 1n, leaf];
  if (node > last) {
    throw new VerificationError("the tree has no such entry", {
      expected: `an index below ${size}`,
      found: String(index),
    });
  }
  for (const sibling of proof) {
    if (last === 0n) throw new VerificationError("the inclusion proof is too long");
    if (node & 1n || node === last) {
      root = await nodeHash(sibling, root);
      [node, last] = skipLeft(node, last);
    } else {
      root = await nodeHash(root, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last) throw new VerificationError("the inclusion proof is too short");
  return root;
}

/**
 * Check that `leaf` is entry `index` of the tree of `size` leaves under `root`.
 *
 * @param {Uint8Array} leaf 32 bytes
 * @param {bigint | number} index
 * @param {bigint | number} size
 * @param {readonly Uint8Array[]} proof 32 bytes each, upward
 * @param {Uint8Array} root 32 bytes
 * @returns {Promise<void>}
 * @throws {FormatError} as `inclusionRoot`
 * @throws {VerificationError} no such entry, another proof length, or another root
 */
export async function checkInclusion(leaf, index, size, proof, root) {
  checkFormat([], [root], []);
  const found = await inclusionRoot(leaf, index, size, proof);
  compare("the inclusion proof gives another root", root, found);
}

/**
 * Check that the tree of `newSize` leaves begins with the tree of `oldSize` leaves. From an empty
 * tree, and between equal sizes, the proof is empty.
 *
 * @param {bigint | number} oldSize
 * @param {Uint8Array} oldRoot 32 bytes
 * @param {bigint | number} newSize
 * @param {Uint8Array} newRoot 32 bytes
 * @param {readonly Uint8Array[]} proof 32 bytes each
 * @returns {Promise<void>}
 * @throws {FormatError} a hash of another length, more than 63 of them, a number outside 0…2^63-1
 * @throws {VerificationError} the tree shrank, another proof length, or another root
 */
export async function checkConsistency(oldSize, oldRoot, newSize, newRoot, proof) {
  checkFormat([oldSize, newSize], [oldRoot, newRoot], proof);
  const [before, after] = [BigInt(oldSize), BigInt(newSize)];
  const trees = /** @type {[bigint, Uint8Array][]} */ ([
    [before, oldRoot],
    [after, newRoot],
  ]);
  for (const [size, root] of trees) {
    if (size === 0n) compare("the empty tree has another root", EMPTY_ROOT, root);
  }
  if (before > after) {
    throw new VerificationError("the tree shrank", {
      expected: `at least ${before} leaves`,
      found: String(after),
    });
  }
  if (before === 0n || before === after) {
    if (proof.length) throw new VerificationError("the consistency proof is too long");
    if (before) compare("two roots for one tree size", oldRoot, newRoot);
    return;
  }
  const found = await consistencyRoots(before, oldRoot, after, proof);
  compare("the consistency proof gives another old root", oldRoot, found.old);
  compare("the consistency proof gives another new root", newRoot, found.new);
}

/** Return both roots that `proof` gives, for 0 < `before` < `after`. */
async function consistencyRoots(before, oldRoot, after, proof) {
  // The old tree of a power of two is itself a node of the new tree, hence implied.
  const [first, ...rest] = before & (before - 1n) ? proof : [oldRoot, ...proof];
  if (!first) throw new VerificationError("the consistency proof is too short");
  let [node, last] = [before - 1n, after - 1n];
  while (node & 1n) [node, last] = [node >> 1n, last >> 1n];
  const roots = { old: first, new: first };
  for (const sibling of rest) {
    if (last === 0n) throw new VerificationError("the consistency proof is too long");
    if (node & 1n || node === last) {
      roots.old = await nodeHash(sibling, roots.old);
      roots.new = await nodeHash(sibling, roots.new);
      [node, last] = skipLeft(node, last);
    } else {
      roots.new = await nodeHash(roots.new, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last) throw new VerificationError("the consistency proof is too short");
  return roots;
}

/** Move up while the node is a left one: it has no neighbour there. */
function skipLeft(node, last) {
  let [at, end] = [node, last];
  while (at && !(at & 1n)) [at, end] = [at >> 1n, end >> 1n];
  return [at, end];
}

function checkFormat(sizes, hashes, proof) {
  if (proof.length > LIMITS.proofHashes) {
    throw new FormatError(`a proof has at most ${LIMITS.proofHashes} hashes`);
  }
  if (!sizes.every(isSize)) {
    throw new FormatError("an index or tree size is between 0 and 2^63 - 1");
  }
  if ([...hashes, ...proof].some((value) => value.length !== HASH_BYTES)) {
    throw new FormatError("a hash is 32 bytes");
  }
}

function isSize(value) {
  const whole = typeof value === "bigint" || Number.isSafeInteger(value);
  return whole && value >= 0 && value < MAX_SIZE;
}

function compare(message, expected, found) {
  if (!equalBytes(expected, found)) {
    throw new VerificationError(message, { expected: toHex(expected), found: toHex(found) });
  }
}

/**
 * Return the 32-byte root of the tree of `size` leaves.
 *
 * @param {bigint | number} size
 * @param {HashReader} reader
 * @returns {Promise<Uint8Array>}
 */
export async function rootFrom(size, reader) {
  return BigInt(size) ? rangeRoot(0n, BigInt(size), reader) : EMPTY_ROOT;
}

/**
 * Return the inclusion proof of entry `index` in the tree of `size` leaves, upward.
 *
 * @param {bigint | number} index
 * @param {bigint | number} size
 * @param {HashReader} reader
 * @returns {Promise<Uint8Array[]>}
 * @throws {MisuseError} the tree has no such entry
 */
export async function proveInclusion(index, size, reader) {
  const target = BigInt(index);
  if (target < 0n || target >= BigInt(size)) {
    throw new MisuseError(`a tree of ${size} leaves has no entry ${index}`);
  }
  const proof = [];
  let [start, end] = [0n, BigInt(size)];
  while (end - start > 1n) {
    const middle = start + split(end - start);
    if (target < middle) {
      proof.push(await rangeRoot(middle, end, reader));
      end = middle;
    } else {
      proof.push(await rangeRoot(start, middle, reader));
      start = middle;
    }
  }
  return proof.reverse();
}

/**
 * Return the proof that the tree of `newSize` leaves begins with the tree of `oldSize` leaves.
 *
 * @param {bigint | number} oldSize
 * @param {bigint | number} newSize
 * @param {HashReader} reader
 * @returns {Promise<Uint8Array[]>}
 * @throws {MisuseError} `oldSize` is negative or above `newSize`
 */
export async function proveConsistency(oldSize, newSize, reader) {
  const [old, size] = [BigInt(oldSize), BigInt(newSize)];
  if (old < 0n || old > size) {
    throw new MisuseError(`a tree of ${size} leaves does not begin with one of ${old}`);
  }
  if (old === 0n || old === size) return [];
  const proof = [];
  let [start, end] = [0n, size];
  while (end > old) {
    const middle = start + split(end - start);
    if (old <= middle) {
      proof.push(await rangeRoot(middle, end, reader));
      end = middle;
    } else {
      proof.push(await rangeRoot(start, middle, reader));
      start = middle;
    }
  }
  if (start) proof.push(await rangeRoot(start, old, reader));
  return proof.reverse();
}

/** Return the root over leaves `start`…`end`-1, a range that RFC 9162's split produces. */
async function rangeRoot(start, end, reader) {
  const parts = [];
  for (let at = start; at < end; ) {
    const level = (end - at).toString(2).length - 1;
    parts.push(await reader.read(level, Number(at >> BigInt(level))));
    at += 1n << BigInt(level);
  }
  let root = parts.pop();
  while (parts.length) root = await nodeHash(parts.pop(), root);
  return root;
}

/** Return the largest power of two below `count`, which is at least 2. */
function split(count) {
  return 1n << BigInt((count - 1n).toString(2).length - 1);
}
