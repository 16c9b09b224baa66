// One check from its start to the verdict: steps A, B and 1 to 14. No page in here, and no clock:
// what the outside does is handed in.
//
// The order of writes in this browser: what was believed (`pins.js`) after step A passed, the newest
// checkpoint (`remembered.js`) after it was found to continue the one before, evidence of a fork when
// one is found. A reload between any two repeats the check and finds them again.

import { family } from "../assay/errors.js";
import { resourcesFrom } from "../assay/manifest.js";
import { ALIAS, EXECUTION, OMS } from "../assay/statements/index.js";
import { Policy, verifyAlias, verifyBundle, verifyReceipt } from "../assay/verify/index.js";
import { heldTensors, peek, registrationOf } from "./claim.js";
import { consistencySource, followLog, recallChecked } from "./history.js";
import { writePins } from "./pins.js";
import { leftOut } from "./plan.js";
import { gatherTrust } from "./trust.js";

const ANSWER = ["15", "16", "17"];

/**
 * @typedef {object} Question
 * @property {Uint8Array} receipt
 * @property {import("./handed.js").Hands} hands
 * @property {Record<"input" | "output", Uint8Array | null>} salts
 * @property {number | null} maxAgeS
 */
/**
 * @typedef {object} Tools
 * @property {import("./plan.js").Plan} plan
 * @property {import("../remembered.js").Memory} memory
 * @property {Pick<Storage, "getItem" | "setItem"> | null} store
 * @property {typeof globalThis.fetch} fetch
 * @property {(blob: Blob) => Promise<string>} hash the hex SHA-256 of a file of any size
 * @property {Date} now
 */
/**
 * @typedef {object} Outcome
 * @property {import("../assay/verify/steps.js").Verified | null} verified
 * @property {import("./trust.js").Trust | null} trust
 * @property {import("./claim.js").Peek} said
 * @property {Record<"input" | "output", import("./claim.js").Held> | null} held
 * @property {any[]} errors those that ended a step, in order
 */

/**
 * Check a receipt.
 *
 * @param {Question} question
 * @param {Tools} tools
 * @returns {Promise<Outcome>}
 */
export async function check(question, tools) {
  const { plan } = tools;
  const outcome = { verified: null, trust: null, held: null, errors: [] };
  outcome.said = await peek(question.receipt);
  try {
    outcome.trust = await believe(question, tools, outcome);
    if (!outcome.trust) return outcome;
    const newest = await follow(outcome.trust, tools, outcome);
    await verify(question, newest, tools, outcome);
  } finally {
    // Whatever ended early, nothing is left waiting but a replay that the reader may ask for.
    const open = outcome.verified ? [] : ANSWER;
    plan.skipRest("not reached: an earlier step did not pass", [...numbered(plan), ...open]);
  }
  return outcome;
}

function numbered(plan) {
  return plan.steps.map(({ id }) => id).filter((id) => !ANSWER.includes(id));
}

/** Step A. */
async function believe({ hands }, { plan, memory, store, fetch, now }, outcome) {
  plan.run("A");
  try {
    const trust = await gatherTrust({ files: hands.believed, memory, store, fetch });
    const ours = Object.values(trust.from).every((source) => source !== "yours");
    if (ours) writePins(store, { ...trust.texts, at: now.toISOString() });
    plan.pass("A", trust.words);
    return trust;
  } catch (error) {
    end(plan, "A", error, outcome);
    return null;
  }
}

/** Step B; null where there is nothing newer than what is remembered. */
async function follow(trust, { plan, memory, fetch, now }, outcome) {
  plan.run("B");
  try {
    const { newest, words } = await followLog(trust, { memory, fetch, now });
    plan.pass("B", words);
    return newest;
  } catch (error) {
    end(plan, "B", error, outcome);
    if (error.name === "SplitViewError") keepFork(error, memory, now);
    return null;
  }
}

/** Steps 1 to 14. */
async function verify(question, newest, tools, outcome) {
  const { plan, fetch } = tools;
  const { said, trust } = outcome;
  plan.run("1");
  try {
    const key = await keyOf(said, trust);
    const { hands, salts } = question;
    if (said.execution) outcome.held = await heldTensors(said.execution, hands, salts, fetch);
    const held = await heldFiles(said, hands, tools);
    const options = await readerOf(question, key, newest, tools, outcome);
    outcome.verified = await ask(question.receipt, { ...options, ...held }, outcome);
    leaveOut(plan, outcome);
  } catch (error) {
    end(plan, error.step ?? plan.next() ?? "14", error, outcome);
    if (error.name === "SplitViewError") keepFork(error, tools.memory, tools.now);
  }
}

/** A receipt that cannot be read needs no key: any does, and step 2 says what is wrong. */
async function keyOf(said, trust) {
  if (!said.kind) return trust.keys.keys[0];
  try {
    return await trust.keys.find(said.hint);
  } catch (error) {
    throw Object.assign(error, { step: "12" });
  }
}

/** What the reader believes and remembers, as the verifier takes it. */
async function readerOf({ maxAgeS }, key, newest, { plan, memory, fetch, now }, { said, trust }) {
  const history = await historyFor(said, trust, newest, { memory, fetch });
  const onStep = ({ number, name, detail }) => {
    if (number === 9 && history.skipped) plan.skip("9", history.skipped);
    else plan.pass(String(number), detail, sentence(name));
    const next = plan.next();
    if (next) plan.run(next);
  };
  return {
    key,
    trustedRoot: trust.trustedRoot,
    policy: new Policy({
      witnesses: trust.policy,
      keys: trust.keys,
      maxAge: maxAgeS,
      now: Math.floor(now.getTime() / 1000),
      knownTo: newest ?? history.base,
    }),
    registration: said.kind ? await registrationOf(key, fetch) : null,
    remembered: history.skipped ? null : history.base,
    consistency: history.proof,
    onStep,
  };
}

/**
 * The tree to compare the receipt's with: the newest, else the one remembered. Where no proof leads
 * from one to the other (no network, a log that has ended), step 9 is skipped: that says nothing
 * against the receipt, and the other steps can be taken.
 */
async function historyFor(said, trust, newest, { memory, fetch }) {
  const fits = newest?.checkpoint.origin === said.origin;
  const base = fits ? newest : await recallChecked(trust, said.origin, memory);
  if (!base || !said.kind) return { base, proof: null, skipped: "" };
  const sizes = [base.checkpoint.size, said.size];
  const [old, size] = sizes[0] < sizes[1] ? sizes : sizes.reverse();
  try {
    const hashes = old === size ? [] : await consistencySource(fetch)(old, size);
    return { base, proof: () => hashes, skipped: "" };
  } catch (error) {
    const words = `could not check: no proof from ${old} to ${size} leaves (${error.message})`;
    return { base, proof: null, skipped: words };
  }
}

function ask(receipt, options, { said, held }) {
  if (said.kind && said.kind !== EXECUTION) {
    if (said.kind === ALIAS) return verifyAlias(receipt, options);
    return verifyBundle(receipt, { ...options, predicateType: said.kind });
  }
  return verifyReceipt(receipt, {
    ...options,
    output: held?.output.bytes ?? null,
    outputSalt: held?.output.salt ?? null,
    input: held?.input.bytes ?? null,
    inputSalt: held?.input.salt ?? null,
  });
}

/** The reader's folder or file, as far as this kind of claim is about one. */
async function heldFiles({ kind }, { model }, { hash }) {
  if (!kind || kind === EXECUTION) return {};
  const pairs = [];
  for (const [path, blob] of model) pairs.push([path, await hash(blob)]);
  const folder = kind === OMS || kind === ALIAS;
  const manifest = folder && pairs.length > 0 ? resourcesFrom(pairs) : null;
  const fileSha256 = !folder && pairs.length === 1 ? pairs[0][1] : null;
  return { manifest, fileSha256, withoutFile: manifest === null && fileSha256 === null };
}

/** What this kind of claim does not have is said to be so. */
function leaveOut(plan, { said }) {
  if (said.kind === EXECUTION) return;
  if (!plan.ended("13")) plan.skip("13", leftOut("only of executions and aliases"));
  plan.skipRest(leftOut("only an execution can be run again"), ANSWER);
}

/** A bug of ours (an error of no family) is thrown, and never a verdict. */
function end(plan, id, error, outcome) {
  if (family(error) === null) {
    plan.skip(id, `could not check: this page failed (${error?.message ?? error})`);
    throw error;
  }
  outcome.errors.push(error);
  plan.end(id, error);
}

function keepFork(error, memory, now) {
  const [first, second] = [error.first, error.second].map((note) => new TextDecoder().decode(note));
  const origin = first.split("\n", 1)[0];
  memory.keepFork({ origin, first, second, words: error.message, foundAt: now.toISOString() });
}

function sentence(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
