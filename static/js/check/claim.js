// One claim, checked by the numbered steps of `assay verify`; what failed is told by its number.
//
// The evidence panels and the page that `assay page` writes ask here. No page in here: `node --test`
// runs it, and so does a file with no network.

import { parseBundle } from "../assay/bundle.js";
import { family } from "../assay/errors.js";
import { TrustedKey } from "../assay/keys.js";
import { ALIAS, EXECUTION, KEY, parseStatement } from "../assay/statements/index.js";
import { verifyAlias, verifyBundle, verifyReceipt } from "../assay/verify/index.js";

const COMMON = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/** What each step asks, for one that failed or was not reached. */
export const TITLES = Object.freeze({
  1: "the question makes sense",
  2: "the file is a Sigstore bundle v0.3",
  3: "it is of the kind taken here",
  4: "the key signed the statement",
  5: "the log entry is this claim's",
  6: "the log and its witnesses signed the tree",
  7: "the unsigned copies agree",
  8: "the claim is in the tree",
  9: "the tree continues the one remembered",
  10: "the statement is of the type asked for",
  11: "the subject is the thing at hand",
  12: "the key may sign this",
  13: "the statement agrees with its entry",
  14: "how fresh the proof is",
});

/**
 * @typedef {object} Question
 * @property {Uint8Array} data the bundle
 * @property {string} predicateType
 * @property {TrustedKey} key
 * @property {import("../assay/policy.js").TrustedRoot} trustedRoot
 * @property {import("../assay/verify/index.js").Policy} policy
 * @property {Uint8Array | null} [registration] bundle of the key's own registration
 * @property {Uint8Array | null} [output] an execution's output.tensors, `outputSalt` beside a private one
 * @property {Uint8Array | null} [outputSalt]
 * @property {Uint8Array | null} [input]
 * @property {Uint8Array | null} [inputSalt]
 * @property {string | null} [fileSha256] of a file that must be a subject
 * @property {import("../assay/checkpoint.js").VerifiedCheckpoint | null} [remembered]
 * @property {import("../assay/verify/steps.js").ConsistencySource | null} [consistency]
 */
/**
 * @typedef {object} Outcome
 * @property {import("../assay/verify/steps.js").Step[]} steps those that passed
 * @property {import("../assay/verify/steps.js").Verified | null} verified null when a step failed
 * @property {number} failed the number of the step that failed, 0 for none
 * @property {any} error why, null for none
 */

/**
 * Check a claim. A bug of ours (an error of no family) is thrown, and never a verdict.
 *
 * @param {Question} question
 * @param {import("../assay/verify/steps.js").OnStep} [onStep]
 * @returns {Promise<Outcome>}
 */
export async function checkClaim(question, onStep = () => {}) {
  const steps = [];
  const noted = (step) => {
    steps.push(step);
    onStep(step);
  };
  try {
    return { steps, verified: await verify(question, noted), failed: 0, error: null };
  } catch (error) {
    if (family(error) === null) throw error;
    const passed = new Set(steps.map(({ number }) => number));
    const failed = orderOf(question.predicateType).find((number) => !passed.has(number)) ?? 14;
    return { steps, verified: null, failed, error };
  }
}

/**
 * Return the numbers of the steps that a claim of this type takes, in order.
 *
 * @param {string} predicateType
 * @returns {number[]}
 */
export function orderOf(predicateType) {
  return [...COMMON, ...([EXECUTION, ALIAS].includes(predicateType) ? [13] : []), 14];
}

/**
 * Return what a bundle says of itself, syntax only: its parts, its type, and the key to try.
 *
 * A claim about a key is signed by that key, or by the one whose place it takes: nobody's list is
 * asked what they may sign, and a revocation is not refused for revoking.
 *
 * @param {Uint8Array} data
 * @param {import("../assay/keys.js").KeyRing} keys
 * @throws {FormatError} not a bundle, or no statement in it
 * @throws {VerificationError} no key of `keys` has its hint
 */
export async function readClaim(data, keys) {
  const bundle = parseBundle(data);
  const { predicateType, predicate } = parseStatement(bundle.envelope.payload);
  const listed = await keys.find(bundle.hint);
  const key = predicateType === KEY ? new TrustedKey({ key: listed.key }) : listed;
  return { bundle, predicateType, predicate, key };
}

async function verify(question, onStep) {
  const { data, predicateType, key, trustedRoot, policy } = question;
  const { registration = null, remembered = null, consistency = null } = question;
  const shared = { key, trustedRoot, policy, registration, remembered, consistency, onStep };
  if (predicateType === EXECUTION) {
    const { output = null, input = null, outputSalt = null, inputSalt = null } = question;
    const opened = {
      outputSalt: output === null ? null : outputSalt,
      inputSalt: input === null ? null : inputSalt,
    };
    return verifyReceipt(data, { ...shared, output, input, ...opened });
  }
  if (predicateType === ALIAS) return verifyAlias(data, shared);
  const fileSha256 = question.fileSha256 ?? null;
  const withoutFile = fileSha256 === null;
  return verifyBundle(data, { ...shared, predicateType, fileSha256, withoutFile });
}
