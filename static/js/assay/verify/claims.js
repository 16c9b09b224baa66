// The whole question: a bundle against a file or a folder, a receipt, an alias, a bare proof.
//
// A policy is a `Policy`, or a tlog-policy alone, or null where no witness is asked for. Each
// function throws, besides what it names: MisuseError for a question that cannot be asked,
// FormatError for bytes that are not the format, VerificationError for a claim that does not hold,
// SplitViewError where the log signed two trees of one size, UnavailableError where no consistency
// proof to the remembered checkpoint is at hand, or an age is asked for and unknown.

import { sha256Hex } from "../digests.js";
import { MisuseError, VerificationError } from "../errors.js";
import { TrustedKey } from "../keys.js";
import { OMS, checkFolder, manifestDigest, parseOms } from "../manifest.js";
import { checkInclusion } from "../merkle.js";
import { verifyCheckpoint } from "../policy.js";
import { executionOf, parseTlogProof } from "../receipt.js";
import { ALIAS, EXECUTION, parsePredicate } from "../statements/index.js";
import { commitment } from "../tensors.js";
import { checkFresh, policyOf } from "./fresh.js";
import { checkRegistration } from "./registration.js";
import { Report, checkHistory, checkKey, checkLogged, readBundle, readStatement } from "./steps.js";

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * What the reader trusts and remembers. `registration` is the bundle of the key's own entry, which
 * then says role and owner instead of the reader's list. Without a `policy` no witness is asked
 * for; say so to whoever reads the verdict.
 *
 * @typedef {{key: import("../public-key.js").PublicKey | TrustedKey,
 *   trustedRoot: import("../policy.js").TrustedRoot,
 *   policy: import("./fresh.js").Policy | import("../policy.js").TlogPolicy | null,
 *   registration?: Uint8Array | null,
 *   remembered?: import("../checkpoint.js").VerifiedCheckpoint | null,
 *   consistency?: import("./steps.js").ConsistencySource | null,
 *   onStep?: import("./steps.js").OnStep | null}} Reader
 */
/** @typedef {import("./steps.js").Verified} Verified */
/** @typedef {readonly import("../manifest.js").Resource[]} Resources a folder, sorted */

/**
 * Verify a Sigstore bundle and return what it proves. The predicate is an opaque object here;
 * `parsePredicate` reads it.
 *
 * @param {Uint8Array} data
 * @param {Reader & {predicateType: string, fileSha256?: string | null, manifest?: Resources | null,
 *   withoutFile?: boolean}} options `fileSha256` is the hex SHA-256 of the file that must be a
 *   subject; for model signing `manifest` is that of the reader's folder instead; `withoutFile`
 *   asks for the signature and the log only
 * @returns {Promise<Verified>}
 */
export async function verifyBundle(data, options) {
  const { predicateType, fileSha256 = null, manifest = null, withoutFile = false } = options;
  const claim = new Claim(options);
  claim.checkQuestion(predicateType, { fileSha256, manifest, withoutFile });
  const verified = await claim.verify(data);
  await checkSubject(verified.statement, fileSha256, manifest, claim.report);
  return claim.conclude(await claim.checkSigner(verified));
}

/**
 * Verify the receipt of an execution: all that `verifyBundle` does, and step 13.
 *
 * @param {Uint8Array} data
 * @param {Reader & {output?: Uint8Array | null, outputSalt?: Uint8Array | null,
 *   input?: Uint8Array | null, inputSalt?: Uint8Array | null}} options `output` and `input` are
 *   `output.tensors` and `input.tensors`, whole, where the reader has them; a private execution
 *   needs the salt beside each
 * @returns {Promise<Verified>}
 */
export async function verifyReceipt(data, options) {
  const { output = null, outputSalt = null, input = null, inputSalt = null } = options;
  if ((output === null && outputSalt !== null) || (input === null && inputSalt !== null)) {
    throw new MisuseError("a salt without its tensors opens nothing");
  }
  const claim = new Claim(options);
  claim.checkQuestion(EXECUTION, { withoutFile: true });
  const claimed = await claim.verify(data);
  const predicate = await executionOf(claimed.statement);
  checkOutputSubject(claimed.statement, predicate);
  const out = await checkTensors("output", predicate.output, output, outputSalt);
  claim.report.passed(11, "the subject is the output", out);
  const verified = await claim.checkSigner(claimed);
  checkObserved(verified, predicate);
  const held = await checkTensors("input", predicate.input, input, inputSalt);
  const ran = `${predicate.execution} of ${predicate.model} at ${predicate.revision}`;
  claim.report.passed(13, "the execution agrees with its entry", `${ran}; ${held}`);
  return claim.conclude(verified);
}

/**
 * Verify one move of an alias: all that `verifyBundle` does, and step 13. Whether the alias has
 * moved on since is not in the bundle: the later entries of the log say that.
 *
 * @param {Uint8Array} data
 * @param {Reader & {manifest?: Resources | null}} options `manifest` is that of the reader's
 *   folder, where they have it
 * @returns {Promise<Verified>}
 */
export async function verifyAlias(data, options) {
  const { manifest = null } = options;
  const claim = new Claim(options);
  claim.checkQuestion(ALIAS, { withoutFile: true });
  const claimed = await claim.verify(data);
  const predicate = await parsePredicate(claimed.statement);
  const held = await checkManifest(claimed.statement, manifest);
  claim.report.passed(11, "the subject is the manifest", held);
  const verified = await claim.checkSigner(claimed);
  checkOwner(verified.signer, predicate.model);
  checkObserved(verified, predicate);
  const before = predicate.previous ? `before at ${predicate.previous}` : "new";
  const moved = `${predicate.alias} of ${predicate.model} to ${predicate.revision}, ${before}`;
  claim.report.passed(13, "the move agrees with its entry", moved);
  return claim.conclude(verified);
}

/**
 * Check that a tlog-proof shows `leaf` to be in the log `origin`.
 *
 * @param {Uint8Array} data
 * @param {{leaf: Uint8Array, origin: string, log: import("../note.js").VKey,
 *   policy: import("../policy.js").TlogPolicy | null}} options `leaf` is 32 bytes
 * @returns {Promise<import("../checkpoint.js").VerifiedCheckpoint>}
 * @throws {FormatError} not a tlog-proof
 * @throws {VerificationError} the checkpoint is not signed as asked, or the leaf is not in it
 */
export async function verifyTlogProof(data, { leaf, origin, log, policy }) {
  const proof = parseTlogProof(data);
  const verified = await verifyCheckpoint(proof.checkpoint, { origin, log, policy });
  const tree = verified.checkpoint;
  await checkInclusion(leaf, proof.index, tree.size, proof.hashes, tree.root);
  return verified;
}

/** What all claims share: the reader, and the steps that are not about one kind. */
class Claim {
  #predicateType = "";

  /** @param {Reader} reader */
  constructor({ key, trustedRoot, policy, ...rest }) {
    const { registration = null, remembered = null, consistency = null, onStep = null } = rest;
    this.key = key instanceof TrustedKey ? key : new TrustedKey({ key });
    this.trustedRoot = trustedRoot;
    this.policy = policyOf(policy);
    this.registration = registration;
    this.remembered = remembered;
    this.consistency = consistency;
    this.report = new Report(onStep);
  }

  /** Step 1. */
  checkQuestion(predicateType, { fileSha256 = null, manifest = null, withoutFile = false }) {
    this.policy.check();
    if (this.trustedRoot.logs.length === 0) {
      throw new MisuseError("the trusted root names no log");
    }
    if (!predicateType) {
      throw new MisuseError("no predicate type is asked for: any signed statement would do");
    }
    if ([fileSha256 !== null, manifest !== null, withoutFile].filter(Boolean).length !== 1) {
      throw new MisuseError("give one thing to check against: a file, a folder, or say without");
    }
    if (fileSha256 !== null && !SHA256.test(fileSha256)) {
      // A subject may have no SHA-256 at all, and "" must not find it.
      throw new MisuseError("a file is named by the 64 lower-case hex digits of its SHA-256");
    }
    if (predicateType === OMS && fileSha256 !== null) {
      throw new MisuseError("model signing is about a folder, not about a file");
    }
    if (predicateType !== OMS && manifest !== null) {
      throw new MisuseError(`${predicateType} is about files, not about a folder`);
    }
    this.#predicateType = predicateType;
    const names = this.trustedRoot.origins.join(", ");
    const detail = `trusted log ${names}; type ${predicateType}`;
    this.report.passed(1, "the question makes sense", detail);
  }

  /** Steps 2 to 10. @param {Uint8Array} data @returns {Promise<Verified>} */
  async verify(data) {
    const { key, trustedRoot, report } = this;
    const bundle = readBundle(data, report);
    const { witnesses } = this.policy;
    const checkpoint = await checkLogged(bundle, key.key, trustedRoot, witnesses, report);
    await checkHistory(checkpoint, this.remembered, this.consistency, report);
    const statement = readStatement(bundle.envelope, this.#predicateType, report);
    return Object.freeze({
      envelope: bundle.envelope,
      statement,
      key: key.key,
      index: bundle.entry.index,
      checkpoint,
      steps: Object.freeze([]),
      signer: key,
      registered: false,
    });
  }

  /** Step 12; return the claim with what is known of its signer. */
  async checkSigner(claimed) {
    const { key, trustedRoot, policy, registration, report } = this;
    let verified = claimed;
    if (registration !== null) {
      const { witnesses } = policy;
      const signer = await checkRegistration(registration, key, claimed, trustedRoot, witnesses);
      verified = Object.freeze({ ...claimed, signer, registered: true });
    }
    checkKey(verified.signer, this.#predicateType, verified, trustedRoot, report);
    return verified;
  }

  /** Step 14, and the steps that were taken. @returns {Verified} */
  conclude(verified) {
    checkFresh(verified, this.key, this.policy, this.trustedRoot, this.report);
    return Object.freeze({ ...verified, steps: Object.freeze([...this.report.steps]) });
  }
}

/** Step 11. */
async function checkSubject(statement, fileSha256, manifest, report) {
  const name = "the subject is the thing at hand";
  const signed = statement.predicateType === OMS ? await parseOms(statement) : null;
  if (manifest !== null && signed !== null) {
    checkFolder(signed, manifest);
    const digest = await manifestDigest(signed);
    report.passed(11, name, `${manifest.length} files, manifest ${digest}`);
  } else if (fileSha256 !== null) {
    if (!statement.digests.includes(fileSha256)) {
      throw new VerificationError("no subject is this file", {
        expected: statement.digests.join(", "),
        found: fileSha256,
      });
    }
    report.passed(11, name, `SHA-256 ${fileSha256}`);
  } else {
    report.passed(11, name, "not compared with a file");
  }
}

function checkOutputSubject({ digests }, { output }) {
  if (digests.length !== 1 || digests[0] !== output.sha256) {
    throw new VerificationError("the subject is not the output", {
      expected: output.sha256,
      found: digests.join(", "),
    });
  }
}

/** Compare the subject of an alias with the reader's folder; return what was compared. */
async function checkManifest({ digests }, manifest) {
  if (digests.length !== 1) {
    throw new VerificationError("an alias has one subject, the manifest", {
      expected: "one digest",
      found: digests.join(", "),
    });
  }
  const [claimed] = digests;
  if (manifest === null) return `manifest ${claimed}, not compared with a folder`;
  const found = await manifestDigest(manifest);
  if (found !== claimed) {
    throw new VerificationError("the alias names another folder", { expected: claimed, found });
  }
  return `${manifest.length} files, manifest ${claimed}`;
}

/** A publisher speaks for models of their own name only. */
function checkOwner(key, model) {
  const [owner] = model.split("/");
  if (key.owner && key.owner !== owner) {
    throw new VerificationError("the key speaks for another owner's models", {
      expected: owner,
      found: key.owner,
    });
  }
}

/** The checkpoint that the signer saw came before the entry, so the entry is not inside it. */
function checkObserved({ index, checkpoint }, { observed }) {
  if (observed.origin === checkpoint.checkpoint.origin && observed.treeSize > index) {
    throw new VerificationError("the statement saw a tree that came after it", {
      expected: `at most ${index} leaves`,
      found: String(observed.treeSize),
    });
  }
}

/** Compare the reader's tensors with what the statement says; return what was compared. */
async function checkTensors(name, claimed, tensors, salt) {
  if (tensors === null) return `${name} ${claimed.form} ${claimed.sha256}, not compared`;
  let found = await sha256Hex(tensors);
  if (claimed.form === "commitment") {
    if (salt === null) {
      throw new MisuseError(`the ${name} is private: its salt is needed to compare it`);
    }
    found = await commitment(salt, found);
  }
  if (found !== claimed.sha256) {
    throw new VerificationError(`the ${name} is another one`, { expected: claimed.sha256, found });
  }
  return `${name} ${claimed.form} ${found}`;
}
