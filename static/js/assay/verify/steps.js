// Steps 2 to 10 and 12, each a function that throws or reports what it compared.

import { hintFor, omsHintFor, parseBundle } from "../bundle.js";
import { equalBytes, toHex } from "../digests.js";
import { checkEnvelope, checkHeaders, paeSha256, rekorBody } from "../dsse.js";
import { SplitViewError, UnavailableError, VerificationError } from "../errors.js";
import { checkConsistency, checkInclusion, leafHash } from "../merkle.js";
import { verifyCheckpoint } from "../policy.js";
import { KEY, parseStatement } from "../statements/index.js";

/**
 * A step that passed: its number in `assay.verify`, what it asked, what it compared.
 *
 * @typedef {{number: number, name: string, detail: string}} Step
 */
/** @typedef {(step: Step) => void} OnStep */
/**
 * Where a consistency proof between two sizes of the log comes from: the hashes, 32 bytes each,
 * from the tree of `oldSize` to that of `newSize`. Throws UnavailableError when it cannot be had.
 *
 * @typedef {(oldSize: bigint, newSize: bigint) =>
 *   readonly Uint8Array[] | Promise<readonly Uint8Array[]>} ConsistencySource
 */
/**
 * A claim that held: who signed what, at which index of which tree, and the steps taken. `signer`
 * is the key with the role and owner that counted; `registered` says whether those are from the
 * key's own entry in the log (true) or from the reader's list (false).
 *
 * @typedef {{envelope: import("../dsse.js").Envelope,
 *   statement: import("../statements/statement.js").Statement,
 *   key: import("../public-key.js").PublicKey, index: bigint,
 *   checkpoint: import("../checkpoint.js").VerifiedCheckpoint, steps: readonly Step[],
 *   signer: import("../keys.js").TrustedKey, registered: boolean}} Verified
 */

/** The steps so far, each handed to `onStep` as it passes. */
export class Report {
  /** @type {Step[]} */
  steps = [];
  #onStep;

  /** @param {OnStep | null} [onStep] */
  constructor(onStep = null) {
    this.#onStep = onStep;
  }

  /**
   * Record a step that passed.
   *
   * @param {number} number
   * @param {string} name
   * @param {string} detail
   */
  passed(number, name, detail) {
    const step = Object.freeze({ number, name, detail });
    this.steps.push(step);
    this.#onStep?.(step);
  }
}

/** Step 2: the whole bundle, syntax only. @param {Uint8Array} data @param {Report} report */
export function readBundle(data, report) {
  const bundle = parseBundle(data);
  report.passed(
    2,
    "the file is a Sigstore bundle v0.3",
    `${data.length} bytes, one log entry`,
  );
  return bundle;
}

/**
 * Steps 3 to 8: the key signed the claim, and a tree that is signed as asked holds it.
 *
 * @param {import("../bundle.js").Bundle} bundle
 * @param {import("../public-key.js").PublicKey} key
 * @param {import("../policy.js").TrustedRoot} trustedRoot
 * @param {import("../policy.js").TlogPolicy | null} policy
 * @param {Report} report
 * @returns {Promise<import("../checkpoint.js").VerifiedCheckpoint>}
 */
export async function checkLogged(bundle, key, trustedRoot, policy, report) {
  await checkKind(bundle, key, report);
  await checkSignature(bundle, key, report);
  const leaf = await checkBody(bundle, key, report);
  const verified = await checkTree(bundle.entry, trustedRoot, policy, report);
  checkCopies(bundle.entry, verified, report);
  await checkLeaf(bundle.entry, leaf, verified, report);
  return verified;
}

/** Step 3: payload type, key id and hint; `parseBundle` refused other entry kinds. */
async function checkKind({ envelope, hint }, key, report) {
  checkHeaders(envelope);
  const forms = [await hintFor(key.spki), await omsHintFor(key.spki)];
  if (hint && !forms.includes(hint)) {
    throw new VerificationError("the hint names another key", {
      expected: forms.join(" or "),
      found: hint,
    });
  }
  report.passed(3, "it is of the kind taken here", `hint ${hint || "absent"}`);
}

/** Step 4: ECDSA P-256 over the PAE. */
async function checkSignature({ envelope }, key, report) {
  await checkEnvelope(envelope, key);
  const digest = await paeSha256(envelope.payload, envelope.payloadType);
  const detail = `key ${key.fingerprint}, SHA-256 of the PAE ${digest}`;
  report.passed(4, "the key signed the statement", detail);
}

/** Step 5: rebuild the logged body, compare, and return its 32-byte leaf hash. */
async function checkBody({ envelope, entry }, key, report) {
  const body = await rekorBody(envelope, key.spki);
  const leaf = await leafHash(body);
  if (!equalBytes(body, entry.body)) {
    throw new VerificationError("the logged body is not the one of this envelope and key", {
      expected: `leaf ${toHex(leaf)}`,
      found: `leaf ${toHex(await leafHash(entry.body))}`,
    });
  }
  report.passed(5, "the log entry is this claim's", `leaf ${toHex(leaf)}`);
  return leaf;
}

/** Step 6: the log is known, and it and a quorum of witnesses signed the checkpoint. */
async function checkTree(entry, trustedRoot, policy, report) {
  const log = trustedRoot.find(entry.keyId32);
  const verified = await verifyCheckpoint(entry.inclusion.checkpoint, {
    origin: log.origin,
    log: log.vkey,
    policy,
  });
  const names = verified.witnesses.map(({ name }) => name).join(", ");
  const asked = policy
    ? `cosigned by ${names || "nobody"}`
    : "no policy, so no witness was asked";
  const tree = `${verified.checkpoint.size} leaves under ${toHex(verified.checkpoint.root)}`;
  report.passed(6, `the log ${log.origin} signed the tree`, `${tree}; ${asked}`);
  return verified;
}

/** Step 7: what nobody signed equals what the log signed. */
function checkCopies(entry, { checkpoint: tree }, report) {
  const proof = entry.inclusion;
  for (const [name, expected, found] of [
    ["root hash", toHex(tree.root), toHex(proof.root)],
    ["tree size", String(tree.size), String(proof.size)],
    ["index", String(entry.index), String(proof.index)],
  ]) {
    if (expected !== found) {
      throw new VerificationError(`the unsigned ${name} differs`, { expected, found });
    }
  }
  report.passed(7, "the unsigned copies agree", `index ${entry.index} of ${tree.size}`);
}

/** Step 8: the leaf is in the signed tree, at that index. */
async function checkLeaf(entry, leaf, { checkpoint: tree }, report) {
  const { hashes } = entry.inclusion;
  await checkInclusion(leaf, entry.index, tree.size, hashes, tree.root);
  const detail = `index ${entry.index}, ${hashes.length} hashes to ${toHex(tree.root)}`;
  report.passed(8, "the claim is in the tree", detail);
}

/**
 * Step 9: one history with the remembered tree, whichever is larger. An old bundle is no rollback:
 * only a live checkpoint that shrinks is.
 *
 * @param {import("../checkpoint.js").VerifiedCheckpoint} verified
 * @param {import("../checkpoint.js").VerifiedCheckpoint | null} remembered
 * @param {ConsistencySource | null} consistency
 * @param {Report} report
 */
export async function checkHistory(verified, remembered, consistency, report) {
  const name = "the tree continues the one remembered";
  if (remembered === null) {
    report.passed(9, name, "nothing is remembered");
    return;
  }
  const [mine, theirs] = [verified.checkpoint, remembered.checkpoint];
  if (mine.origin !== theirs.origin) {
    report.passed(9, name, `nothing is remembered of ${mine.origin}`);
    return;
  }
  checkOneTree(remembered, verified);
  const [first, second] = theirs.size <= mine.size ? [theirs, mine] : [mine, theirs];
  // A wrong proof is a VerificationError only: it comes from outside and may be the server's slip.
  const proof = await proofBetween(first.size, second.size, consistency);
  await checkConsistency(first.size, first.root, second.size, second.root, proof);
  report.passed(9, name, `${first.size} to ${second.size} leaves`);
}

/**
 * Check that a log did not sign two trees of one size.
 *
 * @param {import("../checkpoint.js").VerifiedCheckpoint} first
 * @param {import("../checkpoint.js").VerifiedCheckpoint} second
 * @throws {SplitViewError} it did
 */
export function checkOneTree(first, second) {
  const [one, other] = [first.checkpoint, second.checkpoint];
  const same = one.origin === other.origin && one.size === other.size;
  if (same && !equalBytes(one.root, other.root)) {
    throw new SplitViewError(`${one.origin} signed two trees of ${one.size} leaves`, {
      first: first.note,
      second: second.note,
    });
  }
}

async function proofBetween(oldSize, newSize, consistency) {
  if (oldSize === 0n || oldSize === newSize) return [];
  if (consistency === null) {
    throw new UnavailableError(
      `no consistency proof from ${oldSize} to ${newSize} leaves is at hand`,
    );
  }
  return consistency(oldSize, newSize);
}

/**
 * Step 10: the statement, and its type.
 *
 * @param {import("../dsse.js").Envelope} envelope
 * @param {string} predicateType
 * @param {Report} report
 */
export function readStatement(envelope, predicateType, report) {
  const statement = parseStatement(envelope.payload);
  if (statement.predicateType !== predicateType) {
    throw new VerificationError("a statement of another type", {
      expected: predicateType,
      found: statement.predicateType,
    });
  }
  const count = statement.subjects.length;
  const subjects = `${count} subject${count > 1 ? "s" : ""}`;
  report.passed(10, "the statement is of the type asked for", `${predicateType}, ${subjects}`);
  return statement;
}

/**
 * Step 12: the key's role, and the places in the logs between which it counts. Where
 * `verified.registered` is set, role, owner and place are those of the key's own entry.
 *
 * @param {import("../keys.js").TrustedKey} trusted
 * @param {string} predicateType
 * @param {Verified} verified
 * @param {import("../policy.js").TrustedRoot} trustedRoot
 * @param {Report} report
 */
export function checkKey(trusted, predicateType, verified, trustedRoot, report) {
  trusted.checkRole(predicateType);
  const { origin } = verified.checkpoint.checkpoint;
  const revoking = predicateType === KEY && verified.statement.predicate.action === "revoke";
  trusted.checkIndex(verified.index, origin, trustedRoot.origins, { revoking });
  const role = `${trusted.role} ${trusted.owner}`.trim() || "a key given by the caller";
  const since = trusted.index === null ? "" : `, registered at index ${trusted.index}`;
  const apart = since && trusted.log !== "" && trusted.log !== origin;
  const elsewhere = apart ? ` of ${trusted.log}` : "";
  const listed = trusted.role ? ", as the reader's own list says" : "";
  const source = verified.registered ? ", as its own entry in the log says" : listed;
  report.passed(12, "the key may sign this", `${role}${since}${elsewhere}${source}`);
}
