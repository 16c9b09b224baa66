// Step 12 with proof: the key's own registration entry, in place of somebody's list of keys.
//
// A registration is the bundle of a `urn:assay:key:v1` statement. What is checked, in this order:
//
// 1. Steps 2 to 8 and 10 hold for it, under the same trusted root and witnesses: it is in a log.
// 2. The key that signed the claim signed it.
// 3. It says `register` about that key: action, public key, and the one subject, its SPKI.
// 4. Its role and owner are those for which the reader trusts the key. The installation's own keys
//    have no owner in a list of keys, and the origin of the log in their registration. A key that
//    the caller vouches for (role "") gets both from here.
// 5. It is the entry that the reader's list names, where that names one: log and index.
// 6. The tree that holds it and the claim's tree are not two of one size.

import { VerificationError } from "../errors.js";
import { TrustedKey, spelledKey } from "../keys.js";
import { KEY, parsePredicate } from "../statements/index.js";
import { Report, checkLogged, checkOneTree, readBundle, readStatement } from "./steps.js";

const PUBLISHER = "publisher";

/**
 * Check the registration `data`, and return the key with what it says: role, owner, place.
 *
 * @param {Uint8Array} data
 * @param {TrustedKey} trusted
 * @param {import("./steps.js").Verified} claim
 * @param {import("../policy.js").TrustedRoot} trustedRoot
 * @param {import("../policy.js").TlogPolicy | null} witnesses
 * @returns {Promise<TrustedKey>}
 * @throws {FormatError} not a bundle of a key statement
 * @throws {VerificationError} not this key's registration, or not what the reader's list says
 * @throws {SplitViewError} its tree and the claim's have one size and two roots
 */
export async function checkRegistration(data, trusted, claim, trustedRoot, witnesses) {
  const silent = new Report();
  const bundle = readBundle(data, silent);
  const proved = await checkLogged(bundle, trusted.key, trustedRoot, witnesses, silent);
  const statement = readStatement(bundle.envelope, KEY, silent);
  const predicate = await parsePredicate(statement);
  const { origin } = proved.checkpoint;
  await checkAbout(predicate, statement.digests, trusted.key);
  checkSaid(predicate, trusted, origin);
  checkPlace(bundle.entry.index, origin, trusted);
  checkOneTree(claim.checkpoint, proved);
  return new TrustedKey({
    ...trusted,
    role: predicate.role,
    owner: predicate.owner,
    index: bundle.entry.index,
    log: origin,
  });
}

async function checkAbout(predicate, digests, key) {
  if (predicate.action !== "register") {
    throw new VerificationError("the entry is no registration", {
      expected: "register",
      found: predicate.action,
    });
  }
  const named = await spelledKey(predicate.publicKey, "predicate.publicKey");
  for (const found of [named.fingerprint, digests.join(", ")]) {
    if (found !== key.fingerprint) {
      throw new VerificationError("the registration is another key's", {
        expected: key.fingerprint,
        found,
      });
    }
  }
}

function checkSaid(predicate, trusted, origin) {
  if (!trusted.role) return;
  // A list of keys leaves the installation's own keys without an owner; they are the log's.
  const own = trusted.role === PUBLISHER ? "" : origin;
  for (const [name, expected, found] of [
    ["role", trusted.role, predicate.role],
    ["owner", trusted.owner || own, predicate.owner],
  ]) {
    if (found !== expected) {
      throw new VerificationError(`the key is registered with another ${name}`, {
        expected,
        found,
      });
    }
  }
}

function checkPlace(index, origin, trusted) {
  for (const [name, expected, found] of [
    ["log", trusted.log || origin, origin],
    ["index", String(trusted.index ?? index), String(index)],
  ]) {
    if (found !== expected) {
      throw new VerificationError(
        `the reader's list has the registration at another ${name}`,
        { expected, found },
      );
    }
  }
}
