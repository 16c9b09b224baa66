// /publish/<owner>/<name>/<revision>/sign/: read, sign with a key of this browser, publish.

import { request } from "../api.js";
import { byId, clearError, digestElement, el, evidenceWords, guarded, showError } from "../dom.js";
import { forgetHashed, recallHashed } from "../hashed-files.js";
import { openKeyStore } from "../key-store.js";
import { listKeys, sign, signingProblem } from "../keys.js";
import { bindMakeKey } from "../make-key-form.js";
import { registerKey, registeredKeys, registrationRequest } from "../registration.js";
import { CARD_PATH, buildPayloads, checkSigning } from "../signing.js";

const main = document.querySelector("main[data-page=publish-sign]");
const { model = "", revision = "", owner = model.split("/")[0] } = main?.dataset ?? {};
const mayRegister = main?.dataset.mayRegister !== "no"; // else an admin of the owner does
const signButton = byId("sign");
const versionField = byId("version");
const decoder = new TextDecoder();

const state = {
  store: null,
  keys: [],
  registered: new Map(),
  signing: null,
  payloads: null,
  allowed: false, // no check failed
  building: 0,
};

async function loadSigning() {
  state.signing = await request("GET", `models/${model}/revisions/${revision}/signing`);
  if (versionField && !versionField.value) versionField.value = state.signing.next_version ?? "";
  await check();
  await build();
}

async function check() {
  const known = { model, revision, hashed: recallHashed(sessionStorage, model) };
  const findings = await checkSigning(state.signing, { ...known, card: await fetchCard() });
  state.allowed = findings.every((finding) => finding.state !== "failed");
  showFindings(findings, known.hashed !== null);
}

/** Return the bytes of README.md, null when they cannot be had. */
async function fetchCard() {
  try {
    const response = await fetch(`/models/${model}/files/${revision}/${CARD_PATH}`);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  } catch {
    return null;
  }
}

function showFindings(findings, hasHashed) {
  const rows = findings.map(({ state: kind, words }) => {
    const line = el("p", { class: "evidence-state" }, el("span", {}, evidenceWords(kind, words)));
    return el("li", { class: "evidence-row", "data-state": kind }, line);
  });
  const list = el("ol", {}, ...rows);
  const forget = el("button", { type: "button", class: "button", onclick: forgetAndCheck }, FORGET);
  findingsBox().replaceChildren(list, ...(state.allowed || !hasHashed ? [] : [forget]));
}

const FORGET = "The later changes are mine: forget what this tab hashed";
function findingsBox() {
  let box = byId("sign-checks");
  if (!box) {
    box = el("div", { id: "sign-checks", class: "evidence", "aria-live": "polite" });
    const place = byId("statement-release")?.closest("details") ?? signButton;
    place?.before(box);
  }
  return box;
}

async function forgetAndCheck() {
  forgetHashed(sessionStorage, model);
  await check();
  update();
}

/** Build the payloads for the version in the field and show them as they will be signed. */
async function build() {
  const ticket = (state.building += 1);
  const version = versionField?.value.trim() ?? "";
  let payloads = null;
  try {
    payloads = version && state.signing ? await buildPayloads(state.signing, version) : null;
    if (version) clearError("sign-error");
  } catch (error) {
    showError(error, "sign-error");
  }
  if (ticket !== state.building) return; // the version has changed meanwhile
  state.payloads = payloads && { version, ...payloads };
  for (const kind of ["oms", "card", "release"]) {
    const shown = byId(`statement-${kind}`);
    if (shown) shown.textContent = payloads ? decoder.decode(payloads[kind]) : "";
  }
  update();
}

async function loadKeys() {
  state.keys = await listKeys(state.store, owner);
  state.registered = await registeredKeys(request, owner);
  showKeys();
  update();
}

function showKeys() {
  const choice = byId("key-choice");
  if (!choice) return;
  const legend = choice.querySelector("legend");
  const chosen = chosenKey()?.fingerprint;
  const rows = state.keys.map((record) => keyRow(record, chosen));
  const none = el("p", {}, "No key of yours is in this browser: make one, or restore one.");
  choice.replaceChildren(...(legend ? [legend] : []), ...(rows.length ? rows : [none]));
  if (!chosenKey()) choice.querySelector("input[name=key]:enabled")?.click();
  const usable = choice.querySelector("input[name=key]:enabled") !== null;
  if (byId("key-make")) byId("key-make").open = rows.length === 0;
  byId("key-make-words")?.replaceChildren(usable ? "Make another key" : "Make a key");
}

function keyRow(record, chosen) {
  const registration = state.registered.get(record.fingerprint)?.state;
  const usable = registration === "registered";
  const id = `key-${record.fingerprint.slice(0, 16)}`;
  const radio = el("input", {
    ...{ type: "radio", name: "key", id, value: record.fingerprint, onchange: update },
    disabled: !usable,
    checked: usable && record.fingerprint === chosen,
  });
  return el(
    "div",
    { class: "field check" },
    radio,
    el("label", { for: id }, `${record.name} (${registration ?? "not registered"})`),
    digestElement(record.fingerprint, "fingerprint"),
    registration ? null : mayRegister ? registerButton(record) : requestBox(record),
  );
}

function registerButton(record) {
  const register = async () => {
    await registerKey(request, record);
    await loadKeys();
  };
  const onclick = () => guarded(button, "sign-error", register);
  const button = el("button", { type: "button", class: "button", onclick }, "Register this key");
  return button;
}

/** Return what a member does whose key an admin has to register. */
function requestBox(record) {
  const box = el("div", { class: "stack stack-sm" });
  const ask = async () => {
    const text = await registrationRequest(request, record);
    const words =
      `Send this to an admin of ${owner}. It holds no secret. They paste it under Settings, ` +
      "Signing keys, Register a member's key. Then load this page again.";
    const attributes = { class: "statement", tabindex: "0", role: "group" };
    const shown = el("pre", { ...attributes, "aria-label": "Request for an admin" }, text);
    const name = { "aria-label": "Copy the request", "data-copy": text };
    const copy = el("button", { type: "button", class: "copy", ...name }, "Copy");
    box.replaceChildren(el("p", { class: "small" }, words), shown, el("p", {}, copy));
  };
  const onclick = () => guarded(button, "sign-error", ask);
  const words = "Ask an admin to register it";
  const button = el("button", { type: "button", class: "button", onclick }, words);
  box.append(button);
  return box;
}

function chosenKey() {
  const radio = byId("key-choice")?.querySelector("input[name=key]:checked");
  return state.keys.find((record) => record.fingerprint === radio?.value) ?? null;
}

function update() {
  if (!signButton) return;
  const version = state.payloads?.version;
  signButton.textContent = version ? `Sign and publish ${version}` : "Sign and publish";
  const read = byId("read")?.checked ?? true;
  const missing = [
    chosenKey() ? "" : state.keys.length ? "a registered key" : "a key",
    state.payloads ? "" : "a version",
    state.allowed ? "" : "checks that all pass",
    read ? "" : "your word that you have read the statements",
  ].filter(Boolean);
  signButton.disabled = missing.length > 0;
  const words = missing.length ? `Still needed: ${missing.join(", ")}.` : "";
  byId("sign-missing")?.replaceChildren(words);
}

async function publish() {
  const { version, oms, card, release } = state.payloads;
  const record = chosenKey();
  const say = (words) => byId("sign-progress")?.replaceChildren(words);
  clearError("sign-error");
  signButton.disabled = true;
  try {
    say("Signing in this browser…");
    const claims = {
      oms: await sign(record, oms),
      card: await sign(record, card),
      release: await sign(record, release),
    };
    say("Sending the three envelopes; the server checks them and logs them…");
    const notes = byId("notes")?.value ?? "";
    const json = { revision, version, notes, claims, key: record.fingerprint };
    const made = await request("POST", `models/${model}/releases`, { json });
    forgetHashed(sessionStorage, model);
    say(`Released as ${made.version}.`);
    location.assign(`/models/${model}/releases/${encodeURIComponent(made.version)}/`);
  } catch (error) {
    say("");
    showError(error, "sign-error");
    update();
  }
}

async function start() {
  const problem = signingProblem();
  if (problem) throw new Error(problem);
  state.store = await openKeyStore();
  bindMakeKey(state.store, owner, loadKeys, mayRegister);
  versionField?.addEventListener("input", () => void build());
  byId("read")?.addEventListener("change", update);
  signButton?.addEventListener("click", () => void publish());
  await Promise.all([loadKeys(), loadSigning()]);
}

start().catch((error) => showError(error, "sign-error"));
