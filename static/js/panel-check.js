// The check behind "Check in this browser": the rows of an evidence panel, each with what was compared.
//
// The verifier's steps are the same as everywhere; a row is a group of them. The verifier stops at the
// first step that fails, and a panel has more rows: where one fails, what it hung on is left out and
// the rest is asked again, so that a wrong output does not hide that the signature is good. A row is
// filled only by steps that passed. No page in here: `node --test` runs it.

import { parseCheckpoint } from "./assay/checkpoint.js";
import { parseHex, sha256Hex } from "./assay/digests.js";
import { FormatError, UnavailableError, VerificationError, family } from "./assay/errors.js";
import { TrustedKey } from "./assay/keys.js";
import { parseNote } from "./assay/note.js";
import { CARD, EXECUTION } from "./assay/statements/index.js";
import { Policy } from "./assay/verify/index.js";
import { checkClaim, readClaim } from "./check/claim.js";
import { forkOf } from "./remembered.js";
import { registrationOf } from "./verify/claim.js";
import { consistencySource, followLog, recallChecked } from "./verify/history.js";
import { writePins } from "./verify/pins.js";
import { LIMITS, read } from "./verify/sources.js";
import { gatherTrust } from "./verify/trust.js";

export const ROWS = Object.freeze(["contents", "signature", "ledger", "consistency"]);
const ROW_OF = {
  ...{ 1: "contents", 2: "contents", 3: "contents", 10: "contents", 11: "contents" },
  ...{ 13: "contents", 4: "signature", 12: "signature", 5: "ledger", 7: "ledger", 8: "ledger" },
  ...{ 6: "consistency", 9: "consistency", 14: "consistency" },
};
const COMPARED = 64 * 2 ** 20; // bytes of tensors or of one file that a panel fetches
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * @typedef {object} Asked what the page says of itself; every address is a path of this site
 * @property {string} bundle
 * @property {string} type the predicate type that must have been signed, "" for a ledger entry's own
 * @property {string} [output] of output.tensors, where they are public
 * @property {string} [input]
 * @property {string} [outputSalt] what opens a private one, 64 hex digits
 * @property {string} [inputSalt]
 * @property {string} [cardBundle] of the card's own statement, which must be about the same file
 * @property {string} [file] of one signed file, `fileName` its name
 * @property {string} [fileName]
 * @property {string} [manifest] the digest that the page shows
 * @property {string} [payload] the statement as the page shows it
 */
/**
 * @typedef {object} Row
 * @property {"checked" | "failed" | "unknown"} state
 * @property {string} words
 * @property {string} [expected]
 * @property {string} [found]
 * @property {import("./assay/verify/steps.js").Step[]} steps those of the row that passed
 */
/**
 * @typedef {{memory: import("./remembered.js").Memory, store: Pick<Storage, "getItem" | "setItem"> |
 *   null, fetch: typeof fetch, now: Date}} Tools
 */

/**
 * Check what a panel is about.
 *
 * @param {Asked} asked
 * @param {Tools} tools
 * @returns {Promise<{rows: Record<string, Row>, fork: import("./remembered.js").Fork | null}>}
 */
export async function checkPanel(asked, tools) {
  const panel = new Panel();
  try {
    const data = await read(asked.bundle, { limit: LIMITS.bundle, fetch: tools.fetch });
    const trust = await gatherTrust({ files: {}, ...tools });
    writePins(tools.store, { ...trust.texts, at: tools.now.toISOString() });
    const history = await follow(trust, tools, panel);
    const claim = await readClaim(data, trust.keys);
    if (asked.type && claim.predicateType !== asked.type) {
      const values = { expected: asked.type, found: claim.predicateType };
      throw Object.assign(new VerificationError("a statement of another type", values), { step: 10 });
    }
    const question = await questionOf({ data, trust, claim, asked, history }, tools);
    await panel.ask(question, { asked, claim, history });
    if (asked.cardBundle) await askCard(panel, question, { asked, claim, trust }, tools.fetch);
  } catch (error) {
    if (family(error) === null) throw error;
    panel.stop(error);
  }
  return { rows: panel.rows, fork: panel.keepFork(tools) };
}

/** The newest checkpoint, compared with the one that this browser saw before. */
async function follow(trust, tools, panel) {
  try {
    const { newest, words } = await followLog(trust, tools);
    return { newest, words };
  } catch (error) {
    if (family(error) === null) throw error;
    panel.fail("consistency", error);
    return { newest: null, words: "" };
  }
}

/** Everything that can be compared; what cannot be had is left out, and `missing` says why. */
async function questionOf({ data, trust, claim, asked, history }, { memory, fetch, now }) {
  const missing = [];
  const fetched = async (path) => {
    if (!path) return null;
    try {
      return await read(path, { limit: COMPARED, fetch });
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      missing.push(error.message);
      return null;
    }
  };
  const { origin } = parseCheckpoint(parseNote(claim.bundle.entry.inclusion.checkpoint).text);
  const fits = history.newest?.checkpoint.origin === origin;
  const file = await fetched(asked.file);
  return {
    ...{ data, missing, predicateType: claim.predicateType, key: claim.key },
    trustedRoot: trust.trustedRoot,
    policy: new Policy({
      ...{ witnesses: trust.policy, keys: trust.keys, knownTo: history.newest },
      now: Math.floor(now.getTime() / 1000),
    }),
    registration: claim.key.role ? await registrationOf(claim.key, fetch) : null,
    output: await fetched(asked.output),
    input: await fetched(asked.input),
    outputSalt: asked.outputSalt ? parseHex(asked.outputSalt) : null,
    inputSalt: asked.inputSalt ? parseHex(asked.inputSalt) : null,
    fileSha256: file && (await sha256Hex(file)),
    remembered: fits ? history.newest : await recallChecked(trust, origin, memory),
    consistency: consistencySource(fetch),
  };
}

/** The card's own statement: the same steps, about the same file and the same revision. */
async function askCard(panel, question, { asked, claim, trust }, fetch) {
  try {
    const data = await read(asked.cardBundle, { limit: LIMITS.bundle, fetch });
    const card = await readClaim(data, trust.keys);
    const registration = card.key.role ? await registrationOf(card.key, fetch) : null;
    const about = { ...question, data, predicateType: CARD, key: card.key, registration };
    const { error, failed } = await checkClaim(about);
    if (error) throw Object.assign(error, { step: failed });
    for (const name of ["revision", "manifest", "model"]) {
      const [expected, found] = [claim.predicate[name], card.predicate[name]];
      if (expected === found) continue;
      const words = `the card is about another ${name}`;
      throw Object.assign(new VerificationError(words, { expected, found }), { step: 10 });
    }
    panel.add("contents", "so does the card's own statement");
  } catch (error) {
    if (family(error) === null) throw error;
    panel.overrule(rowOfError(error) || "contents", error);
  }
}

/** What a failed step hung on, so that the others can be asked without it. */
const WITHOUT = {
  6: ({ policy }) => ({ policy: new Policy({ ...policy, witnesses: null }), registration: null }),
  9: () => ({ remembered: null }),
  11: () => ({ output: null, input: null, fileSha256: null }),
  12: ({ key }) => ({ key: new TrustedKey({ key: key.key }), registration: null }),
  13: () => ({ output: null, input: null }),
  14: ({ policy }) => ({ policy: new Policy({ ...policy, knownTo: null }) }),
};

class Panel {
  /** @type {Record<string, Row>} */
  rows = {};
  #errors = [];

  /** Record why a row is not green; the first reason stands. */
  fail(row, error) {
    this.#errors.push(error);
    if (this.rows[row]) return;
    const open = ["usage", "could not check"].includes(family(error));
    const { expected = "", found = "" } = error;
    const values = expected || found ? { expected, found } : {};
    const words = expected || found ? error.message.split(" (expected ")[0] : error.message;
    this.rows[row] = { state: open ? "unknown" : "failed", words, ...values, steps: [] };
  }

  /** Add to what a green row says. */
  add(row, words) {
    const told = this.rows[row];
    if (told.state === "checked") this.rows[row] = { ...told, words: `${told.words}; ${words}` };
  }

  /** A second statement failed: that takes the green from the row, and no other failure's words. */
  overrule(row, error) {
    const { state, steps } = this.rows[row];
    if (state === "failed") return;
    delete this.rows[row];
    this.fail(row, error);
    this.rows[row] = { ...this.rows[row], words: `the card's statement: ${this.rows[row].words}`, steps };
  }

  /** Ask, and ask again without what failed, until nothing new can be learnt. */
  async ask(question, context) {
    const left = new Set();
    let [asked, outcome] = [question, await checkClaim(question)];
    while (outcome.error) {
      const number = outcome.failed;
      this.fail(ROW_OF[number], outcome.error);
      if (left.has(number) || !WITHOUT[number]) break;
      left.add(number);
      asked = { ...asked, ...WITHOUT[number](asked) };
      outcome = await checkClaim(asked);
    }
    this.#conclude(outcome, { ...context, question: asked });
  }

  #conclude({ steps, verified, error }, context) {
    const words = verified ? wordsOf(verified, context) : {};
    const reason = `not reached: ${error?.message ?? ""}`;
    for (const row of ROWS) {
      const passed = steps.filter(({ number }) => ROW_OF[number] === row);
      if (!this.rows[row]) {
        this.rows[row] = words[row] ?? { state: "unknown", words: reason, steps: [] };
      }
      this.rows[row].steps = passed;
    }
  }

  /** Nothing can be asked: the row that the error is about says why, the others that they wait. */
  stop(error) {
    const row = rowOfError(error);
    if (row) this.fail(row, error);
    const reason = row ? `not reached: ${error.message}` : error.message;
    for (const name of ROWS) this.rows[name] ??= { state: "unknown", words: reason, steps: [] };
  }

  /** @returns {import("./remembered.js").Fork | null} evidence of a fork, kept in this browser */
  keepFork({ memory, now }) {
    const error = this.#errors.find(({ name }) => name === "SplitViewError");
    if (!error) return null;
    const fork = forkOf(error, now);
    memory.keepFork(fork);
    return fork;
  }
}

function rowOfError(error) {
  if (error.step) return ROW_OF[error.step];
  if (error instanceof FormatError) return "contents";
  if (!(error instanceof VerificationError)) return "";
  return error.message.includes("key that is not trusted") ? "signature" : "consistency";
}

/** The words of the rows of a claim that held, one way or another. */
function wordsOf(verified, context) {
  const { checkpoint, signer } = verified;
  const tree = checkpoint.checkpoint;
  const witnesses = checkpoint.witnesses.map(({ name }) => name).join(", ") || "no witness";
  const role = `${signer.role} ${signer.owner}`.trim();
  const since = signer.index === null ? "" : `, registered at entry ${signer.index}`;
  const checked = (words) => ({ state: "checked", words, steps: [] });
  return {
    contents: contentsOf(verified, context),
    signature: checked(`signed by ${role || "the"} key ${verified.key.fingerprint.slice(0, 12)}${since}`),
    ledger: checked(`entry ${verified.index} of a signed tree of ${tree.size}`),
    consistency: checked(historyWords(witnesses, context.history)),
  };
}

/** What `followLog` found, without the root hash that it begins with: the steps have that. */
function historyWords(witnesses, { words }) {
  return [`cosigned by ${witnesses}`, ...words.split("; ").slice(1)].join("; ");
}

/** What was compared with what this page shows; nothing compared is no green row. */
function contentsOf({ statement }, { asked, claim, question }) {
  const compared = [];
  const differ = (what, expected, found) => ({
    ...{ state: "failed", words: `${what} is not the signed one`, expected, found, steps: [] },
  });
  if (asked.payload !== undefined) {
    const signed = decoder.decode(claim.bundle.envelope.payload);
    if (signed !== asked.payload) return differ("the statement on this page", signed, asked.payload);
    compared.push("the statement on this page is what was signed");
  }
  if (asked.manifest) {
    const signed = claim.predicate.manifest ?? statement.digests.join(", ");
    if (signed !== asked.manifest) return differ("the manifest digest", signed, asked.manifest);
    compared.push("the manifest digest on this page is the signed one");
  }
  if (question.fileSha256) compared.push(`the release names ${asked.fileName} by its digest`);
  for (const name of claim.predicateType === EXECUTION ? ["output", "input"] : []) {
    if (question[name]) compared.push(`${name}.tensors has the signed digest`);
  }
  const others = statement.digests.length - 1;
  if (question.fileSha256 && others) compared.push(`its other files (${others}) were not downloaded`);
  const left = question.missing.length ? `; not compared: ${question.missing.join("; ")}` : "";
  if (compared.length) return { state: "checked", words: compared.join("; ") + left, steps: [] };
  const reason = left.slice(2) || "the bytes are not here to compare";
  return { state: "unknown", words: reason, steps: [] };
}
