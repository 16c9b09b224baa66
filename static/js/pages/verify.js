// /verify/: a receipt is dropped or linked to, and every check runs here, one after the other.

import { fromDrop, fromInput, skipReason } from "../chosen-files.js";
import { byId, clearError, download, el, formatBytes, guarded, showError } from "../dom.js";
import { forkCallout } from "../fork.js";
import { HashClient } from "../hash-client.js";
import { openMemory } from "../remembered.js";
import { certificateOf, factsOf } from "../verify/certificate.js";
import { parseSalt } from "../verify/claim.js";
import { check } from "../verify/flow.js";
import { Hands, recognise } from "../verify/handed.js";
import { Plan } from "../verify/plan.js";
import { runAgain, sizes, whyNot } from "../verify/rerun.js";
import { LIMITS, read, receiptAddress } from "../verify/sources.js";
import { Stepper } from "../verify/stepper.js";
import { acceptPolicy } from "../verify/trust.js";
import { verdictElement } from "../verify/verdict.js";

const ERROR = "verify-error";
const memory = openMemory();
const hasher = new HashClient();
let hands = new Hands();
let ticket = 0; // of the newest check: an older one shows nothing any more
let cancel = null; // the AbortController of a replay that runs

function browserStore() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

async function take(chosen) {
  clearError(ERROR);
  for (const { path, file } of chosen) {
    if (!skipReason(path)) hands.take(await recognise({ path, file }));
  }
  showHanded();
  if (hands.receipt) await start();
}

function showHanded() {
  const items = hands.told.map(({ words, paths }) =>
    el("li", {}, el("strong", {}, words), ` ${paths}`),
  );
  byId("handed")?.replaceChildren(...items);
  byId("handed-box").hidden = items.length === 0;
}

/** Fetch the receipt that the address names, where none was dropped. */
async function fetchReceipt() {
  const typed = byId("receipt-address").value;
  const path = receiptAddress(typed, location.origin);
  if (!path) throw new Error(typed ? words(typed) : "Drop a receipt, or name one, first.");
  const waiting = path.endsWith("/receipt") ? "?wait=20" : "";
  const bytes = await read(path + waiting, { limit: LIMITS.bundle, fetch: siteFetch });
  hands.take({ kind: "receipt", path, file: new Blob([bytes]), bytes });
  showHanded();
}

function words(typed) {
  return `"${typed.slice(0, 80)}" is no address of this site: a page reads its own server only.`;
}

async function start() {
  cancel?.abort(new DOMException("a new check was begun", "AbortError"));
  const mine = (ticket += 1);
  const receipt = hands.receipt.bytes;
  const { plan, stepper } = freshPlan(() => mine === ticket);
  const tools = { plan, memory, store: browserStore(), fetch: siteFetch, now: new Date() };
  const hash = async (blob) => (await hasher.hash(blob)).sha256;
  const outcome = await check(question(receipt), { ...tools, hash });
  if (mine !== ticket) return;
  const shown = { outcome, plan, stepper, receipt };
  offerPolicy(outcome, stepper);
  await conclude(shown);
  if (outcome.verified && outcome.said.execution) await offerReplay(shown);
}

/** The server is asked anew: what a cache remembers is not what it says today. */
function siteFetch(path, options) {
  return fetch(path, { cache: "no-cache", ...options });
}

function question(receipt) {
  const age = byId("max-age").value.trim();
  return {
    receipt,
    hands,
    salts: { output: saltIn("output-salt"), input: saltIn("input-salt") },
    maxAgeS: age === "" ? null : Math.round(Number(age) * Number(byId("max-age-unit").value)),
  };
}

function saltIn(id) {
  const text = byId(id).value.trim().toLowerCase();
  const salt = parseSalt(text);
  if (text && !salt) throw new Error("A salt is 64 hex digits.");
  return salt;
}

function freshPlan(current) {
  const stepper = new Stepper(byId("steps"));
  const plan = new Plan((step) => current() && stepper.show(step));
  byId("certificate").hidden = true;
  byId("fork").replaceChildren();
  byId("verdict").replaceChildren(el("p", { class: "muted" }, "Checking…"));
  byId("result").hidden = false;
  return { plan, stepper };
}

/** Show the verdict, a fork, and the certificate. */
async function conclude({ outcome, plan, receipt }) {
  byId("verdict").replaceChildren(verdictElement(plan));
  const fork = outcome.errors.find(({ name }) => name === "SplitViewError");
  if (fork) byId("fork").replaceChildren(...forkElements(fork));
  const where = { site: location.origin, browser: navigator.userAgent, at: new Date() };
  const certificate = await certificateOf({ outcome, plan, receipt, where });
  const facts = factsOf(certificate).flatMap(([name, value]) => [
    el("dt", {}, name),
    el("dd", {}, value),
  ]);
  byId("certificate-facts").replaceChildren(...facts);
  byId("certificate").hidden = false;
  const name = `check-of-${certificate.receipt.sha256.slice(0, 12)}.json`;
  byId("save").onclick = () => download(name, `${JSON.stringify(certificate, null, 2)}\n`);
}

function forkElements(error) {
  const [first, second] = [error.first, error.second].map((note) => new TextDecoder().decode(note));
  const origin = first.split("\n", 1)[0];
  const known = memory.forks().find((fork) => fork.first === first && fork.second === second);
  const fork = { origin, first, second, words: error.message, foundAt: new Date().toISOString() };
  const callout = forkCallout({ ...fork, ...known });
  const evidence = error.evidence ? new TextDecoder().decode(error.evidence) : "";
  // Two trees of one size need no hashes; for others these tie them together.
  if (!/"left":\["/.test(evidence)) return [callout];
  const save = () => download(`fork-of-${origin}-with-hashes.json`, evidence);
  const button = el("button", { type: "button", class: "button", onclick: save });
  button.textContent = "Save it with the hashes that tie both trees together";
  return [callout, el("p", { class: "push" }, button)];
}

/** A policy changes only with the reader's consent. */
function offerPolicy({ errors }, stepper) {
  const changed = errors.find(({ accept }) => accept);
  if (!changed) return;
  const accept = () => {
    const { policy, trustedRoot } = changed.accept;
    acceptPolicy(policy, trustedRoot, memory, new Date());
    void guarded(null, ERROR, start);
  };
  const button = el("button", { type: "button", class: "button", onclick: accept });
  button.textContent = "I know of this change: believe the new policy";
  stepper.under("A").replaceChildren(button);
}

async function offerReplay(shown) {
  const { outcome, plan, stepper } = shown;
  const reason = whyNot(outcome);
  if (reason) {
    plan.skipRest(`could not check: ${reason}`, ["15", "16", "17"]);
    await conclude(shown);
    return;
  }
  const { model, runtime } = await sizes(outcome, hands, siteFetch);
  const under = stepper.under("15");
  if (model > LIMITS.model) {
    const large = `${formatBytes(model)}, more than a page is asked to hold: use assay replay`;
    plan.skipRest(`could not check: the model has ${large}`, ["15", "16", "17"]);
    await conclude(shown);
    return;
  }
  const parts = [model && `model ${formatBytes(model)}`, `runtime ${formatBytes(runtime)}`];
  const fetched = parts.filter(Boolean).join(", ");
  const button = el("button", { type: "button", class: "button primary", id: "run-again" });
  button.textContent = "Run it again in this browser";
  button.addEventListener("click", () => void guarded(button, ERROR, () => replay(shown)));
  under.replaceChildren(
    el("div", { class: "cluster" }, button, el("span", { class: "hint" }, `fetches: ${fetched}`)),
  );
}

async function replay(shown) {
  const { outcome, plan, stepper } = shown;
  cancel = new AbortController();
  const { signal } = cancel;
  const stop = () => cancel?.abort(new DOMException("you cancelled it", "AbortError"));
  const bar = el("progress", { "aria-label": "Progress of the replay" });
  const said = el("p", { class: "small", "aria-live": "polite" }, "starting");
  const end = el("button", { type: "button", class: "button", id: "cancel", onclick: stop }, "Cancel");
  const offer = [...stepper.under("15").childNodes];
  stepper.under("15").replaceChildren(el("div", { class: "rerun stack stack-sm" }, said, bar, end));
  end.focus();
  const onProgress = (what, done, total) => showProgress(bar, said, what, done, total);
  try {
    await runAgain(outcome, hands, { plan, signal, onProgress });
  } finally {
    cancel = null;
    stepper.under("15").replaceChildren(...offer);
  }
  byId("run-again")?.focus();
  await conclude(shown);
}

function showProgress(bar, said, what, done, total) {
  if (total > 0) bar.value = done / total;
  else bar.removeAttribute("value");
  const far = total > 0 ? ` ${formatBytes(done)} of ${formatBytes(total)}` : "";
  const line = what === "running" ? "running" : what;
  if (said.dataset.what !== what) said.dataset.what = what;
  said.textContent = `${line}${far}`;
}

function startOver() {
  ticket += 1;
  cancel?.abort(new DOMException("a new check was begun", "AbortError"));
  hands = new Hands();
  byId("verify-form").reset();
  byId("receipt-address").value = "";
  byId("result").hidden = true;
  clearError(ERROR);
  showHanded();
  byId("files").focus();
}

function listen() {
  const drop = byId("drop");
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.dataset.over = "";
  });
  drop.addEventListener("dragleave", () => delete drop.dataset.over);
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    void guarded(null, ERROR, async () => take(await fromDrop(event.dataTransfer)));
  });
  for (const input of [byId("files"), byId("folder")]) {
    input.addEventListener("change", () => {
      const chosen = fromInput(input.files);
      input.value = "";
      void guarded(null, ERROR, () => take(chosen));
    });
  }
  byId("verify-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void guarded(byId("check"), ERROR, checkNow);
  });
  byId("start-over").addEventListener("click", startOver);
  byId("print").addEventListener("click", () => window.print());
}

/** What is typed wins over what was dropped: it is newer. */
async function checkNow() {
  const typed = byId("receipt-address").value.trim();
  if (typed || !hands.receipt) await fetchReceipt();
  await start();
  byId("result-title").focus();
}

async function followLink() {
  const linked = new URLSearchParams(location.search).get("receipt");
  if (!linked) return;
  byId("receipt-address").value = linked;
  await guarded(byId("check"), ERROR, async () => {
    await fetchReceipt();
    await start();
  });
}

if (byId("tool")) {
  listen();
  void followLink().catch((error) => showError(error, ERROR));
}
