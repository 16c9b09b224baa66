// What the reader holds beside a receipt: who signed it, that key's registration, and the tensors.
//
// Everything here is found by what the receipt itself says, before anything of it was verified. It
// only chooses what is compared; the comparison decides.

import { parseBundle } from "../assay/bundle.js";
import { parseCheckpoint } from "../assay/checkpoint.js";
import { sha256Hex } from "../assay/digests.js";
import { UnavailableError } from "../assay/errors.js";
import { parseNote } from "../assay/note.js";
import { EXECUTION, parsePredicate, parseStatement } from "../assay/statements/index.js";
import { commitment } from "../assay/tensors.js";
import { LIMITS, read } from "./sources.js";

/**
 * @typedef {object} Peek what a receipt says of itself, unverified
 * @property {string} kind the predicate type, "" when it cannot be read
 * @property {string} hint
 * @property {string} origin of its log
 * @property {bigint} size of the tree in its checkpoint
 * @property {Record<string, any> | null} execution its predicate, null for another kind
 */

/**
 * @param {Uint8Array} receipt
 * @returns {Promise<Peek>}
 */
export async function peek(receipt) {
  const nothing = { kind: "", hint: "", origin: "", size: 0n, execution: null };
  try {
    const bundle = parseBundle(receipt);
    const tree = parseCheckpoint(parseNote(bundle.entry.inclusion.checkpoint).text);
    const statement = parseStatement(bundle.envelope.payload);
    const kind = statement.predicateType;
    const execution = kind === EXECUTION ? await parsePredicate(statement).catch(() => null) : null;
    return { kind, hint: bundle.hint, origin: tree.origin, size: tree.size, execution };
  } catch {
    return nothing; // the verifier's step 2 says what is wrong with it
  }
}

/**
 * Return the bundle of a key's own registration entry.
 *
 * @param {import("../assay/keys.js").TrustedKey} key
 * @param {typeof fetch} fetch
 * @returns {Promise<Uint8Array | null>} null where there is none to be had, or the key took another
 *   one's place, which two entries say
 */
export async function registrationOf(key, fetch) {
  if (key.index === null) return null;
  const log = key.log ? `?log=${encodeURIComponent(key.log)}` : "";
  let bundle;
  try {
    bundle = await read(`/ledger/${key.index}/bundle${log}`, { limit: LIMITS.bundle, fetch });
  } catch (error) {
    if (error instanceof UnavailableError) return null;
    throw error;
  }
  return supersedes(bundle) ? null : bundle;
}

function supersedes(bundle) {
  try {
    return parseStatement(parseBundle(bundle).envelope.payload).predicate.action === "supersede";
  } catch {
    return false; // the verifier says what is wrong with it
  }
}

/**
 * @typedef {{bytes: Uint8Array<ArrayBuffer> | null, salt: Uint8Array | null, why: string}} Held
 *   a set of tensors with what opens its commitment; `why` it is not there
 */

/**
 * Return the reader's input and output of an execution, from their files or else from this site.
 *
 * @param {Record<string, any>} execution the predicate
 * @param {import("./handed.js").Hands} hands
 * @param {Record<"input" | "output", Uint8Array | null>} salts as the reader typed them
 * @param {typeof fetch} fetch
 * @returns {Promise<Record<"input" | "output", Held>>}
 */
export async function heldTensors(execution, hands, salts, fetch) {
  const opened = await saltsOf(execution, salts, fetch);
  const held = {};
  for (const which of ["output", "input"]) {
    held[which] = await heldSet(which, execution, hands, opened[which], fetch);
  }
  return held;
}

async function heldSet(which, execution, hands, salt, fetch) {
  const claimed = execution[which];
  if (claimed.form === "commitment" && !salt) {
    return { bytes: null, salt: null, why: `the ${which} is private: its salt opens it` };
  }
  const opening = claimed.form === "commitment" ? salt : null;
  const given = hands.tensorsOf(which) ?? (await fitting(hands.unnamed, claimed, opening));
  if (given) return { bytes: given, salt: opening, why: "" };
  try {
    const path = `/executions/${execution.execution}/${which}.tensors`;
    const bytes = await read(path, { limit: LIMITS.tensors, fetch });
    return { bytes, salt: opening, why: "" };
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return { bytes: null, salt: null, why: error.message };
  }
}

async function fitting(sets, claimed, salt) {
  for (const bytes of sets) if ((await valueOf(bytes, salt)) === claimed.sha256) return bytes;
  return null;
}

/**
 * Return the hex value of a set of tensors: its digest, or the commitment to it that `salt` opens.
 *
 * @param {Uint8Array} bytes
 * @param {Uint8Array | null} salt
 * @returns {Promise<string>}
 */
export async function valueOf(bytes, salt) {
  const digest = await sha256Hex(bytes);
  return salt ? commitment(salt, digest) : digest;
}

/** The caller of a private execution, signed in here, need not copy the salts. */
async function saltsOf(execution, typed, fetch) {
  const sealed = ["input", "output"].filter((which) => execution[which].form === "commitment");
  if (sealed.every((which) => typed[which])) return typed;
  try {
    const path = `/api/v1/executions/${execution.execution}`;
    const told = JSON.parse(
      new TextDecoder().decode(await read(path, { limit: LIMITS.tensors, fetch })),
    );
    return Object.fromEntries(
      ["input", "output"].map((which) => [which, typed[which] ?? parseSalt(told.salts?.[which])]),
    );
  } catch {
    return typed;
  }
}

/**
 * @param {unknown} text
 * @returns {Uint8Array | null} null: not 64 hex digits
 */
export function parseSalt(text) {
  if (typeof text !== "string" || !/^[0-9a-f]{64}$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
