// The desk of /verify/: the check itself, from the question to the verdict, and the replay. The
// page fetches it once it stands, or at the first check.

import { byId, download, el, formatBytes, guarded } from "../dom.js";
import { forkCallout } from "../fork.js";
import { HashClient } from "../hash-client.js";
import { openMemory } from "../remembered.js";
import { certificateOf, factsOf } from "./certificate.js";
import { parseSalt } from "./claim.js";
import { check } from "./flow.js";
import { Plan } from "./plan.js";
import { runAgain, sizes, whyNot } from "./rerun.js";
import { LIMITS, siteFetch } from "./sources.js";
import { Stepper } from "./stepper.js";
import { acceptPolicy } from "./trust.js";
import { verdictElement } from "./verdict.js";

const ERROR = "verify-error";
const memory = openMemory();
const hasher = new HashClient();
let ticket = 0; // of the newest check: an older one shows nothing any more
let cancel = null; // the AbortController of a replay that runs

/**
 * Check what is in `hands`, whose receipt is there, and show each step on the page.
 *
 * @param {import("./handed.js").Hands} hands
 */
export async function start(hands) {
  stop();
  const mine = ticket;
  const receipt = hands.receipt.bytes;
  const { plan, stepper } = freshPlan(() => mine === ticket);
  const tools = { plan, memory, store: browserStore(), fetch: siteFetch, now: new Date() };
  const hash = async (blob) => (await hasher.hash(blob)).sha256;
  const outcome = await check(question(hands), { ...tools, hash });
  if (mine !== ticket) return;
  const shown = { outcome, plan, stepper, receipt, hands };
  offerPolicy(shown);
  await conclude(shown);
  if (outcome.verified && outcome.said.execution) await offerReplay(shown);
}

/** Give up what runs; nothing of it is shown any more. */
export function stop() {
  ticket += 1;
  cancel?.abort(new DOMException("a new check was begun", "AbortError"));
}

function browserStore() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

function question(hands) {
  const age = byId("max-age").value.trim();
  return {
    receipt: hands.receipt.bytes,
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
function offerPolicy({ outcome, stepper, hands }) {
  const changed = outcome.errors.find(({ accept }) => accept);
  if (!changed) return;
  const accept = () => {
    const { policy, trustedRoot } = changed.accept;
    acceptPolicy(policy, trustedRoot, memory, new Date());
    void guarded(null, ERROR, () => start(hands));
  };
  const button = el("button", { type: "button", class: "button", onclick: accept });
  button.textContent = "I know of this change: believe the new policy";
  stepper.under("A").replaceChildren(button);
}

async function offerReplay(shown) {
  const { outcome, plan, stepper, hands } = shown;
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
  const { outcome, plan, stepper, hands } = shown;
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
