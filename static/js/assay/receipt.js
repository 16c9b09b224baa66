// The receipt of an execution, and the tlog-proof form of a proof of inclusion.
//
// A receipt is the Sigstore bundle of an execution statement. The tlog-proof (C2SP, draft) carries
// the same proof and checkpoint for readers that know the entry already.

import { decodeBase64 } from "./base64.js";
import { parseBundle } from "./bundle.js";
import { parseDecimal } from "./canonical.js";
import { parseCheckpoint } from "./checkpoint.js";
import { FormatError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { parseNote } from "./note.js";
import { EXECUTION, parsePredicate, parseStatement } from "./statements/index.js";

export const TLOG_PROOF_HEADER = "c2sp.org/tlog-proof@v1";
export const OUTPUT_NAME = "output.tensors"; // the subject of an execution, the name of its file
const HASH_BYTES = 32;
const NEWLINE = 0x0a;

/**
 * A bundle, the statement in it and the execution that it tells of; nothing is verified.
 *
 * @typedef {{bundle: import("./bundle.js").Bundle,
 *   statement: import("./statements/statement.js").Statement,
 *   predicate: Record<string, any>}} Receipt
 */
/**
 * A proof that a leaf is entry `index`; `checkpoint` is the signed note. `extra` is unsigned, null
 * for none. The hashes are 32 bytes each, the leaf's sibling first.
 *
 * @typedef {{index: bigint, hashes: readonly Uint8Array[], checkpoint: Uint8Array,
 *   extra: Uint8Array | null}} TlogProof
 */

/**
 * Read a receipt; `verifyReceipt` is what makes it evidence.
 *
 * @param {Uint8Array} data
 * @returns {Promise<Receipt>}
 * @throws {FormatError} not a bundle, not a statement, or not one of an execution
 * @throws {VerificationError} a bundle or statement of a kind that is not taken here
 */
export async function parseReceipt(data) {
  const bundle = parseBundle(data);
  const statement = parseStatement(bundle.envelope.payload);
  return Object.freeze({ bundle, statement, predicate: await executionOf(statement) });
}

/**
 * Return the predicate of an execution statement.
 *
 * @param {import("./statements/statement.js").Statement} statement
 * @returns {Promise<Record<string, any>>}
 * @throws {FormatError} a statement of another kind, or a predicate that is not the form
 */
export async function executionOf(statement) {
  const predicate = await parsePredicate(statement);
  if (statement.predicateType !== EXECUTION) {
    throw new FormatError("is not an execution", "predicateType");
  }
  return predicate;
}

/**
 * Read a tlog-proof; nothing is verified.
 *
 * @param {Uint8Array} data
 * @returns {TlogProof}
 * @throws {FormatError} another version, a line out of place, a hash that is not 32 bytes, or a
 *   checkpoint that is not one
 */
export function parseTlogProof(data) {
  if (data.length > LIMITS.note) throw new FormatError(`a proof is at most ${LIMITS.note} bytes`);
  const end = data.findIndex((byte, at) => byte === NEWLINE && data[at + 1] === NEWLINE);
  if (end < 0) throw new FormatError("a proof has an empty line before its checkpoint");
  const [head, checkpoint] = [data.subarray(0, end), data.slice(end + 2)];
  if (head.some((byte) => byte > 0x7f)) throw new FormatError("a proof's lines are ASCII");
  const lines = new TextDecoder().decode(head).split("\n");
  if (lines.shift() !== TLOG_PROOF_HEADER) {
    throw new FormatError(`does not start with ${TLOG_PROOF_HEADER}`);
  }
  const extra = lines[0]?.startsWith("extra ")
    ? decodeBase64(lines.shift()?.slice("extra ".length), "extra")
    : null;
  if (!lines[0]?.startsWith("index ")) throw new FormatError("a proof has an index line", "index");
  const index = parseDecimal(lines.shift()?.slice("index ".length), "index");
  const hashes = parseHashes(lines);
  parseCheckpoint(parseNote(checkpoint).text);
  return Object.freeze({ index, hashes, checkpoint, extra });
}

function parseHashes(lines) {
  if (lines.length > LIMITS.proofHashes) {
    throw new FormatError(`a proof has at most ${LIMITS.proofHashes} hashes`);
  }
  const hashes = lines.map((line, index) => decodeBase64(line, `hash ${index}`));
  if (hashes.some((item) => item.length !== HASH_BYTES)) {
    throw new FormatError(`a hash is ${HASH_BYTES} bytes`);
  }
  return Object.freeze(hashes);
}
