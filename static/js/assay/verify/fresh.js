// What a reader asks for as one value, and step 14: how fresh the proof is.
//
// The age is that of the proof: from the earliest cosignature under the claim's tree to the
// reader's `now`. With `maxAge` an older proof is refused, and one that no witness dated, or that
// was cosigned after `now`, could not be checked. A revocation counts from its own index on, so
// whoever has read the log past the claim knows all that can concern it: `knownTo` says how far the
// reader has come, and where the claim stands beyond, the step says so and refuses nothing.

import { MisuseError, UnavailableError, VerificationError } from "../errors.js";
import { KeyRing } from "../keys.js";
import { checkOneTree } from "./steps.js";

export const MAX_SKEW_S = 300;
const NO_KEYS = new KeyRing({ keys: [] });
const LAST_SECOND = 253_402_300_799n; // of the year 9999

/** What a reader trusts besides the logs, and how fresh a proof has to be. */
export class Policy {
  /**
   * @param {{witnesses: import("../policy.js").TlogPolicy | null, keys?: KeyRing,
   *   maxAge?: number | null, now?: number | null,
   *   knownTo?: import("../checkpoint.js").VerifiedCheckpoint | null}} fields
   *   `witnesses` null: no witness is asked for; `maxAge` in seconds, null for any age, needs `now`
   *   in POSIX seconds; `knownTo` the newest verified checkpoint that the reader has, to which
   *   `keys` is up to date
   */
  constructor({ witnesses, keys = NO_KEYS, maxAge = null, now = null, knownTo = null }) {
    this.witnesses = witnesses;
    this.keys = keys;
    this.maxAge = maxAge;
    this.now = now;
    this.knownTo = knownTo;
    Object.freeze(this);
  }

  /**
   * Check that the policy can be asked for.
   *
   * @throws {MisuseError} an age below 0, or an age and no time to count it from
   */
  check() {
    for (const seconds of [this.maxAge, this.now]) {
      if (seconds !== null && !Number.isSafeInteger(seconds)) {
        throw new MisuseError("ages and times are whole seconds");
      }
    }
    if (this.maxAge !== null && this.maxAge < 0) {
      throw new MisuseError("an age is 0 seconds or more");
    }
    if (this.maxAge !== null && this.now === null) {
      throw new MisuseError("an age is counted from now: say when that is");
    }
  }
}

/**
 * Return what is asked for where only the witnesses, or not even they, are named.
 *
 * @param {Policy | import("../policy.js").TlogPolicy | null} policy
 * @returns {Policy}
 * @throws {MisuseError} none is given, and nobody said null: that is a slip, not a decision
 */
export function policyOf(policy) {
  if (policy === undefined) throw new MisuseError("name a policy, or null to ask for no witness");
  return policy instanceof Policy ? policy : new Policy({ witnesses: policy });
}

/**
 * Return POSIX seconds as RFC 3339 in UTC; after the year 9999 as a number.
 *
 * @param {bigint} seconds
 * @returns {string}
 */
export function instant(seconds) {
  if (seconds > LAST_SECOND) return `${seconds} s after 1970`;
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}

/**
 * Step 14: how old the proof of a claim is, and how far revocations are known.
 *
 * @param {import("./steps.js").Verified} verified
 * @param {import("../keys.js").TrustedKey} trusted the key as the reader's list has it
 * @param {Policy} policy
 * @param {import("../policy.js").TrustedRoot} trustedRoot
 * @param {import("./steps.js").Report} report
 * @throws {VerificationError} older than the policy allows
 * @throws {SplitViewError} `knownTo` and the claim's tree have one size and two roots
 * @throws {UnavailableError} an age is asked for, and no witness dated the tree, or a clock is
 *   wrong
 */
export function checkFresh(verified, trusted, policy, trustedRoot, report) {
  const age = checkAge(verified.checkpoint.witnessedAt, policy);
  const known = trusted.role
    ? knownRevocations(verified, policy.knownTo, trustedRoot)
    : "revocations are not known of a key given by the caller";
  report.passed(14, "how fresh the proof is", `${age}; ${known}`);
}

function checkAge(witnessedAt, { maxAge, now }) {
  if (witnessedAt === null) {
    if (maxAge !== null) {
      throw new UnavailableError("no witness dated the tree, so the age of the proof is unknown");
    }
    return "no witness said when";
  }
  const when = `cosigned at ${instant(witnessedAt)}`;
  if (now === null) return when;
  const age = BigInt(now) - witnessedAt;
  if (maxAge === null) return `${when}, ${age} s before now`;
  if (age < -MAX_SKEW_S) {
    throw new UnavailableError(
      `the tree was cosigned ${-age} s after now: a clock is wrong, and the age is unknown`,
    );
  }
  if (age > maxAge) {
    throw new VerificationError("the proof is too old", {
      expected: `at most ${maxAge} s`,
      found: `${age} s`,
    });
  }
  return `${when}, ${age} s before now, ${maxAge} s allowed`;
}

/** Say how far revocations that could concern the claim are known. */
function knownRevocations(verified, knownTo, trustedRoot) {
  if (knownTo === null) {
    return "revocations are known as far as the reader's list goes, which names no tree";
  }
  const [mine, theirs] = [verified.checkpoint.checkpoint, knownTo.checkpoint];
  if (theirs.origin !== mine.origin) return knownElsewhere(mine.origin, theirs, trustedRoot);
  checkOneTree(knownTo, verified.checkpoint);
  if (theirs.size > verified.index) {
    return `revocations are known to ${theirs.size} leaves, past this entry`;
  }
  return (
    `revocations from index ${theirs.size} to ${verified.index} are not known: ` +
    "a newer checkpoint is needed"
  );
}

function knownElsewhere(origin, known, { origins }) {
  const place = origins.indexOf(known.origin);
  if (place >= 0 && place > origins.indexOf(origin)) {
    return `revocations are known to ${known.size} leaves of the later log ${known.origin}`;
  }
  return `revocations in ${origin} are not known: the reader's checkpoint is of ${known.origin}`;
}
