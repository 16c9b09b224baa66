// The page that `assay page` writes: the receipt in it, checked again by the reader's browser.
//
// This is the entry of one script without any import left (assay/page/modules.py). The file's own
// policy forbids the network, so nothing here could ask for more if it wanted to.

import { decodeBase64, encodeBase64 } from "../assay/base64.js";
import { sha256Hex } from "../assay/digests.js";
import { family } from "../assay/errors.js";
import { KeyRing, TrustedKey, parseKeys } from "../assay/keys.js";
import { loadPublicKey } from "../assay/dsse.js";
import { parsePolicy, parseTrustedRoot } from "../assay/policy.js";
import { EXECUTION } from "../assay/statements/index.js";
import { Policy } from "../assay/verify/index.js";
import { TITLES, checkClaim, orderOf, readClaim } from "./claim.js";

const BYTES = ["receipt", "trustedRoot", "policy", "keys", "key", "registration"];
const TENSORS = ["output", "outputSalt", "input", "inputSalt"];
const WORDS = {
  refused: "Refused",
  malformed: "Refused: not the format",
  "split view": "Refused: the log contradicts itself",
  usage: "Could not check",
  "could not check": "Could not check",
};
// A step that passed because there was nothing to compare is no tick.
const OPEN = /not compared|nothing is remembered|no policy/;
const byId = (id) => document.getElementById(id);
const evidence = readEvidence();

function readEvidence() {
  const told = JSON.parse(byId("evidence").textContent);
  const read = (name) => (told[name] === null ? null : decodeBase64(told[name], name));
  return {
    ...Object.fromEntries([...BYTES, ...TENSORS].map((name) => [name, read(name)])),
    predicateType: new TextDecoder().decode(decodeBase64(told.predicateType)),
    madeAt: String(told.madeAt),
  };
}

/** Check with the tensors and files that are at hand, and show how it went. */
async function check({ output, input, fileSha256 = null }) {
  byId("steps").replaceChildren();
  if (!globalThis.crypto?.subtle) {
    const words = "this browser gives no cryptography to a page that was opened like this";
    return conclude("unknown", `Could not check: ${words}. Open the file in another browser.`);
  }
  try {
    const keys = evidence.key ? await vouched(evidence.key) : await parseKeys(evidence.keys);
    const trustedRoot = await parseTrustedRoot(evidence.trustedRoot);
    const witnesses = await parsePolicy(evidence.policy);
    showPins(trustedRoot, witnesses, keys);
    const claim = await readClaim(evidence.receipt, keys);
    showFacts(claim);
    const outcome = await checkClaim(
      {
        data: evidence.receipt,
        ...{ key: claim.key, trustedRoot, predicateType: evidence.predicateType },
        policy: new Policy({ witnesses, keys, now: Math.floor(Date.now() / 1000) }),
        registration: evidence.registration,
        ...{ output, input, fileSha256 },
        ...{ outputSalt: evidence.outputSalt, inputSalt: evidence.inputSalt },
      },
      (step) => byId("steps").append(stepElement(step, OPEN.test(step.detail) ? "open" : "passed")),
    );
    return outcome.error ? refuse(outcome) : accept(outcome.verified);
  } catch (error) {
    return conclude(family(error) ? stateOf(error) : "unknown", wordsOf(error));
  }
}

async function vouched(pem) {
  return new KeyRing({ keys: [new TrustedKey({ key: await loadPublicKey(pem) })] });
}

function accept({ index, checkpoint, steps }) {
  const tree = checkpoint.checkpoint;
  const where = `entry ${index} of ${tree.size} in ${tree.origin}`;
  const bytes = steps.some(({ number, detail }) => number === 11 && OPEN.test(detail));
  const left = bytes ? " The bytes themselves were not compared: choose the file below." : "";
  byId("said").textContent = "What was said";
  conclude("passed", `Checked here ${clock()}: signed, logged and unchanged; ${where}.${left}`);
}

function refuse({ failed, error }) {
  const state = stateOf(error);
  const detail = { number: failed, name: TITLES[failed], detail: error.message };
  byId("steps").append(stepElement(detail, state));
  const left = orderOf(evidence.predicateType).filter((number) => number > failed);
  byId("steps").append(
    ...left.map((number) =>
      stepElement({ number, name: TITLES[number], detail: "not reached" }, "unknown"),
    ),
  );
  conclude(state, wordsOf(error));
}

function stateOf(error) {
  return ["usage", "could not check"].includes(family(error)) ? "unknown" : "failed";
}

function wordsOf(error) {
  return `${WORDS[family(error)] ?? "Could not check"}: ${error.message}`;
}

function conclude(state, words) {
  byId("verdict").dataset.state = state;
  byId("verdict").textContent = words;
}

function clock() {
  return `${new Date().toISOString().slice(11, 19)} UTC`;
}

function stepElement({ number, name, detail }, state) {
  const item = element("li", `${number}. ${name}`);
  item.dataset.state = state;
  item.dataset.step = String(number);
  const words = element("p", detail);
  words.className = "detail";
  item.append(words);
  return item;
}

function showPins(trustedRoot, witnesses, keys) {
  fill("pins", [
    ["Made", evidence.madeAt],
    ...trustedRoot.logs.map(({ vkey }) => ["Log", String(vkey)]),
    ...[...witnesses.witnesses].map(([name, { vkey }]) => [`Witness ${name}`, String(vkey)]),
    ["Quorum", witnesses.quorum],
    ...keys.keys.map(({ key, role, owner }) => [
      `Key: ${`${role} ${owner}`.trim() || "given by its maker"}`,
      key.fingerprint,
    ]),
  ]);
}

function showFacts({ predicateType, predicate }) {
  const told = (name) => (predicate[name] ? [[name, textOf(predicate[name])]] : []);
  const names = ["execution", "model", "revision", "version", "manifest", "alias", "verdict"];
  fill("facts", [
    ["Type", predicateType],
    ...names.flatMap(told),
    ...["graph", "input", "output", "runtime", "startedOn", "finishedOn"].flatMap(told),
  ]);
}

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function fill(id, pairs) {
  byId(id).replaceChildren(
    ...pairs.flatMap(([name, value]) => {
      const told = element("dd", value);
      told.className = "value";
      return [element("dt", name), told];
    }),
  );
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Offer to compare the files that are not in the page: an execution's tensors, or what was signed. */
function offerFiles() {
  const execution = evidence.predicateType === EXECUTION;
  const wanted = execution ? ["output", "input"].filter((name) => !evidence[name]) : ["file"];
  if (evidence.predicateType.startsWith("https:") || !wanted.length) return;
  const held = { output: evidence.output, input: evidence.input };
  for (const name of wanted) {
    const field = Object.assign(document.createElement("input"), { type: "file", id: name });
    const label = Object.assign(element("label", labelOf(name)), { htmlFor: name });
    field.addEventListener("change", async () => {
      const file = field.files?.[0];
      if (!file) return;
      const data = new Uint8Array(await file.arrayBuffer());
      if (execution) held[name] = data;
      else held.fileSha256 = await sha256Hex(data);
      byId("compared").textContent = `${file.name} has the SHA-256 ${await sha256Hex(data)}.`;
      await check(held);
    });
    byId("inputs").append(label, field);
  }
  byId("files").hidden = false;
}

function labelOf(name) {
  return name === "file" ? "A file that was signed" : `${name}.tensors`;
}

function showLine() {
  const kind = evidence.predicateType === EXECUTION ? "" : ` --type '${evidence.predicateType}'`;
  byId("line").textContent = `assay verify receipt.json${kind}`;
  byId("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = `data:application/json;base64,${encodeBase64(evidence.receipt)}`;
    link.download = "receipt.json";
    link.click();
  });
}

showLine();
offerFiles();
void check({ output: evidence.output, input: evidence.input });
