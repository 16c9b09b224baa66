// What a check believes: the log's key, the witnesses and the signers' keys (step A of the page).
//
// Three sources, in this order for each document: a file of the reader's, this site, and what this
// browser kept of the last check, for a reader without a network. What the site tells today is
// compared with what it told this browser before: a log's key never changes, the witness policy only
// with the reader's consent, and no key or revocation is taken back.

import { VerificationError, UnavailableError } from "../assay/errors.js";
import { parseKeys } from "../assay/keys.js";
import { parsePolicy, parseTrustedRoot } from "../assay/policy.js";
import { checkKeysKept, readPins } from "./pins.js";
import { LIMITS, read } from "./sources.js";

const PLACES = Object.freeze({
  trustedRoot: "/.well-known/assay/trusted_root.json",
  policy: "/.well-known/assay/witness-policy.txt",
  keys: "/.well-known/assay/keys.json",
});
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const WORDS = { yours: "your file", site: "told by this site", kept: "kept in this browser" };

/** @typedef {"yours" | "site" | "kept"} Source */
/**
 * @typedef {object} Trust
 * @property {import("../assay/policy.js").TrustedRoot} trustedRoot
 * @property {import("../assay/policy.js").TlogPolicy} policy
 * @property {import("../assay/keys.js").KeyRing} keys
 * @property {Record<"trustedRoot" | "policy" | "keys", string>} texts the documents, whole
 * @property {Record<"trustedRoot" | "policy" | "keys", Source>} from
 * @property {string} words
 */

/**
 * Gather the documents, parse them, and compare them with what this browser believed before.
 *
 * @param {object} given
 * @param {Partial<Record<"trustedRoot" | "policy" | "keys", Uint8Array>>} given.files the reader's
 * @param {import("../remembered.js").Memory} given.memory
 * @param {Pick<Storage, "getItem"> | null} given.store
 * @param {typeof fetch} given.fetch
 * @returns {Promise<Trust>}
 * @throws {VerificationError} the site tells something else than before
 * @throws {UnavailableError} a document cannot be had
 */
export async function gatherTrust({ files, memory, store, fetch }) {
  const kept = readPins(store);
  const told = {};
  for (const [name, path] of Object.entries(PLACES)) {
    told[name] = await documentOf(name, path, { files, kept, fetch });
  }
  const trustedRoot = await parseTrustedRoot(told.trustedRoot.bytes);
  const policy = await parsePolicy(told.policy.bytes);
  const keys = await parseKeys(told.keys.bytes);
  const texts = mapped(told, ({ bytes }) => decoder.decode(bytes));
  const from = mapped(told, ({ source }) => source);
  if (from.trustedRoot === "site") await checkLogsKept(trustedRoot, kept, memory);
  if (from.policy === "site") checkPolicyKept(texts.policy, trustedRoot, memory);
  if (from.keys === "site" && kept) checkKeysKept(kept.keys, texts.keys);
  const trust = { trustedRoot, policy, keys, texts, from };
  return { ...trust, words: wordsOf(trust, kept) };
}

/**
 * Take over the witness policy that the site tells now, as the reader decided.
 *
 * @param {string} policy the text
 * @param {import("../assay/policy.js").TrustedRoot} trustedRoot
 * @param {import("../remembered.js").Memory} memory
 * @param {Date} now
 */
export function acceptPolicy(policy, trustedRoot, memory, now) {
  for (const { origin } of trustedRoot.logs) {
    const before = memory.recall(origin);
    if (before) memory.remember({ ...before, policy }, before.note, now);
  }
}

function mapped(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

async function documentOf(name, path, { files, kept, fetch }) {
  if (files[name]) return { bytes: files[name], source: "yours" };
  try {
    return { bytes: await read(path, { limit: LIMITS.document, fetch }), source: "site" };
  } catch (error) {
    if (!(error instanceof UnavailableError) || !kept) throw error;
    return { bytes: new TextEncoder().encode(kept[name]), source: "kept" };
  }
}

async function checkLogsKept(trustedRoot, kept, memory) {
  const before = kept ? await parseTrustedRoot(new TextEncoder().encode(kept.trustedRoot)) : null;
  for (const log of before?.logs ?? []) compareLog(log.origin, String(log.vkey), trustedRoot);
  for (const { origin } of trustedRoot.logs) {
    const remembered = memory.recall(origin);
    if (remembered) compareLog(origin, remembered.vkey, trustedRoot);
  }
}

function compareLog(origin, expected, trustedRoot) {
  const log = trustedRoot.logs.find((known) => known.origin === origin);
  const found = log ? String(log.vkey) : `no log ${origin}`;
  if (found === expected) return;
  const message = "this site tells another key of the log than it told this browser before";
  throw new VerificationError(message, { expected, found });
}

function checkPolicyKept(policy, trustedRoot, memory) {
  for (const { origin } of trustedRoot.logs) {
    const expected = memory.recall(origin)?.policy;
    if (expected === undefined || expected === policy) continue;
    const message = "this site tells another witness policy than it told this browser before";
    const error = new VerificationError(message, { expected, found: policy });
    throw Object.assign(error, { accept: { policy, trustedRoot } });
  }
}

function wordsOf({ trustedRoot, policy, keys, from }, kept) {
  const logs = trustedRoot.logs.map(({ vkey }) => String(vkey)).join(", ");
  const witnesses = counted(policy.witnesses.size, "witness", "es");
  const told = [
    `log ${logs} (${WORDS[from.trustedRoot]})`,
    `${witnesses}, quorum ${policy.quorum} (${WORDS[from.policy]})`,
    `${counted(keys.keys.length, "key", "s")} (${WORDS[from.keys]})`,
  ];
  const first = !kept && from.trustedRoot === "site";
  const advice = "; first contact: compare the log's key with a second source";
  return told.join("; ") + (first ? advice : "");
}

function counted(count, word, plural) {
  return `${count} ${word}${count === 1 ? "" : plural}`;
}
