// The newest checkpoint of the log, and the one that this browser saw before (step B of the page).
//
// Both are signed, and one must begin with the other. The tree is rebuilt from the log's tiles up to
// the newer root; what those tiles give for the older size is then the newer tree's own word, so
// that a difference is proof against the log and no slip of a server.

import { parseCheckpoint } from "../assay/checkpoint.js";
import { equalBytes, toHex } from "../assay/digests.js";
import { SplitViewError, VerificationError } from "../assay/errors.js";
import { proveConsistency, rootFrom } from "../assay/merkle.js";
import { parseNote } from "../assay/note.js";
import { verifyCheckpoint } from "../assay/policy.js";
import { readCover, renderSplitView } from "../assay/splitview.js";
import { TileReader } from "../assay/tiles.js";
import { LIMITS, read } from "./sources.js";

const ROUNDS = 3; // another page of this browser may remember a newer checkpoint meanwhile

/** @typedef {import("../assay/checkpoint.js").VerifiedCheckpoint} VerifiedCheckpoint */

/**
 * Return the tiles of this site's log, of a tree of `size` leaves.
 *
 * @param {bigint} size
 * @param {typeof fetch} fetch
 * @returns {TileReader}
 */
export function tilesOf(size, fetch) {
  return new TileReader((path) => read(`/log/${path}`, { limit: LIMITS.tile, fetch }), size);
}

/**
 * Fetch the newest checkpoint, compare it with the one remembered, and remember it.
 *
 * @param {import("./trust.js").Trust} trust
 * @param {{memory: import("../remembered.js").Memory, fetch: typeof fetch, now: Date}} tools
 * @returns {Promise<{newest: VerifiedCheckpoint, words: string}>}
 * @throws {SplitViewError} the log signed two histories; `evidence` is what to save
 * @throws {VerificationError} not signed as asked, or the tree shrank
 * @throws {UnavailableError} the checkpoint or the tiles cannot be had
 */
export async function followLog(trust, { memory, fetch, now }) {
  const note = await read("/log/checkpoint", { limit: LIMITS.document, fetch });
  const { origin } = parseCheckpoint(parseNote(note).text);
  const log = logOf(trust, origin);
  const newest = await verifyCheckpoint(note, { origin, log: log.vkey, policy: trust.policy });
  refuseKnownFork(origin, memory);
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = memory.recall(origin);
    const words = await compareWith(before, newest, log, fetch);
    const seen = { origin, vkey: String(log.vkey), policy: trust.texts.policy };
    const size = Number(newest.checkpoint.size);
    const told = { ...seen, note: new TextDecoder().decode(newest.note), size };
    if (memory.remember(told, before?.note ?? null, now)) return { newest, words };
    if (!memory.kept) return { newest, words: `${words}; this browser keeps nothing` };
  }
  return { newest, words: "compared, and not remembered: another page was faster" };
}

/**
 * Return what this browser remembers of a log, its signature verified again; null for nothing.
 *
 * @param {import("./trust.js").Trust} trust
 * @param {string} origin
 * @param {import("../remembered.js").Memory} memory
 * @returns {Promise<VerifiedCheckpoint | null>}
 */
export async function recallChecked(trust, origin, memory) {
  const before = memory.recall(origin);
  const log = trust.trustedRoot.logs.find((known) => known.origin === origin);
  return before && log ? verifyRemembered(before, log) : null;
}

/**
 * Return a source of consistency proofs from the log's tiles, for the verifier's step 9.
 *
 * @param {typeof fetch} fetch
 * @returns {(oldSize: bigint, newSize: bigint) => Promise<Uint8Array[]>}
 */
export function consistencySource(fetch) {
  return (oldSize, newSize) => proveConsistency(oldSize, newSize, tilesOf(newSize, fetch));
}

function logOf(trust, origin) {
  const log = trust.trustedRoot.logs.find((known) => known.origin === origin);
  if (log) return log;
  throw new VerificationError("the checkpoint is of a log that is not trusted here", {
    expected: trust.trustedRoot.logs.map((known) => known.origin).join(", "),
    found: origin,
  });
}

/** A log signs for itself: the witnesses of that day are not asked for again. */
function verifyRemembered(before, log) {
  const note = new TextEncoder().encode(before.note);
  return verifyCheckpoint(note, { origin: before.origin, log: log.vkey, policy: null });
}

function refuseKnownFork(origin, memory) {
  const fork = memory.forks().find((known) => known.origin === origin);
  if (!fork) return;
  const words = `a fork of ${origin} was found on ${fork.foundAt}: ${fork.words}`;
  const [first, second] = [fork.first, fork.second].map((text) => new TextEncoder().encode(text));
  throw new SplitViewError(words, { first, second });
}

async function compareWith(before, newest, log, fetch) {
  const tree = newest.checkpoint;
  const head = `${tree.size} leaves under ${toHex(tree.root)}`;
  if (!before) return `${head}; the first that this browser sees, remembered from now on`;
  const older = await verifyRemembered(before, log);
  await checkContinues(older, newest, fetch);
  return `${head}; continues the ${older.checkpoint.size} leaves seen on ${before.seenAt}`;
}

/**
 * Check that the tree of `newest` begins with that of `older`.
 *
 * @param {VerifiedCheckpoint} older
 * @param {VerifiedCheckpoint} newest
 * @param {typeof fetch} fetch
 * @returns {Promise<void>}
 * @throws as `followLog`
 */
export async function checkContinues(older, newest, fetch) {
  const [old, tree] = [older.checkpoint, newest.checkpoint];
  if (old.size > tree.size) {
    throw new VerificationError("the tree shrank since this browser saw it", {
      expected: `at least ${old.size} leaves`,
      found: `${tree.size} leaves`,
    });
  }
  const notes = { first: older.note, second: newest.note };
  if (old.size === tree.size) {
    if (equalBytes(old.root, tree.root)) return;
    throw forked(`${old.origin} signed two trees of ${old.size} leaves`, notes, old, tree);
  }
  const tiles = tilesOf(tree.size, fetch);
  const whole = await rootFrom(tree.size, tiles);
  if (!equalBytes(whole, tree.root)) {
    throw new VerificationError("the log's tiles are not those of the tree that it signed", {
      expected: toHex(tree.root),
      found: toHex(whole),
    });
  }
  const begins = await rootFrom(old.size, tiles);
  if (equalBytes(begins, old.root)) return;
  const words = `the tree of ${tree.size} leaves does not begin with the tree of ${old.size}`;
  const left = await readCover(0n, old.size, tiles);
  const right = await readCover(old.size, tree.size, tiles);
  throw forked(words, notes, old, { root: begins }, { left, right });
}

/** Two signed texts that cannot both be true, with the hashes that tie trees of two sizes together. */
function forked(words, notes, old, tree, { left = [], right = [] } = {}) {
  const evidence = renderSplitView({ ...notes, left, right });
  const values = { expected: toHex(old.root), found: toHex(tree.root) };
  return Object.assign(new SplitViewError(words, notes), values, { evidence });
}
