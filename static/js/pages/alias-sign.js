// /publish/<owner>/<name>/alias/: read the move, sign it with a key of this browser, send it.

import { buildMove, checkMove } from "../alias-signing.js";
import { path, request } from "../api.js";
import { byId, clearError, digestElement, el, evidenceWords, showError } from "../dom.js";
import { openKeyStore } from "../key-store.js";
import { listKeys, sign, signingProblem } from "../keys.js";
import { registeredKeys } from "../registration.js";

const main = document.querySelector("main[data-page=alias-sign]");
const { model = "", owner = "" } = main?.dataset ?? {};
const signButton = byId("sign");
const decoder = new TextDecoder();
const WAIT_MS = 300; // after the last letter of an alias

const state = { keys: [], asked: null, payload: null, allowed: false, building: 0, waiting: 0 };

/** Ask what the move would be, check it, and show the statement as it will be signed. */
async function build() {
  const ticket = (state.building += 1);
  const asked = { model, alias: byId("alias").value.trim(), version: byId("version").value };
  state.payload = null;
  show([], "");
  clearError("sign-error");
  if (asked.alias) {
    try {
      const address = path("models", model, "aliases", asked.alias, "signing");
      const query = new URLSearchParams({ version: asked.version });
      const proposal = await request("GET", `${address}?${query}`);
      const findings = await checkMove(proposal, asked);
      const payload = buildMove(proposal);
      if (ticket !== state.building) return; // something else is asked for meanwhile
      state.asked = { ...asked, alias: proposal.alias };
      state.payload = payload;
      state.allowed = findings.every((finding) => finding.state !== "failed");
      show(findings, decoder.decode(payload));
    } catch (error) {
      if (ticket !== state.building) return;
      showError(error, "sign-error");
    }
  }
  update();
}

function show(findings, text) {
  const rows = findings.map(({ state: kind, words }) => {
    const line = el("p", { class: "evidence-state" }, el("span", {}, evidenceWords(kind, words)));
    return el("li", { class: "evidence-row", "data-state": kind }, line);
  });
  byId("sign-checks").replaceChildren(...(rows.length ? [el("ol", {}, ...rows)] : []));
  byId("statement").textContent = text;
}

async function loadKeys(store) {
  const registered = await registeredKeys(request, owner);
  state.keys = await listKeys(store, owner);
  const rows = state.keys.map((record) => keyRow(record, registered.get(record.fingerprint)));
  const none = el("p", {}, "No key of this owner is in this browser.");
  const legend = byId("key-choice").querySelector("legend");
  byId("key-choice").replaceChildren(legend, ...(rows.length ? rows : [none]));
  byId("key-choice").querySelector("input[name=key]:enabled")?.click();
  update();
}

function keyRow({ fingerprint, name }, registration) {
  const id = `key-${fingerprint.slice(0, 16)}`;
  const disabled = registration?.state !== "registered";
  const radio = { type: "radio", name: "key", id, value: fingerprint, onchange: update, disabled };
  return el(
    "div",
    { class: "field check" },
    el("input", radio),
    el("label", { for: id }, `${name} (${registration?.state ?? "not registered"})`),
    digestElement(fingerprint, "fingerprint"),
  );
}

function chosenKey() {
  const radio = byId("key-choice")?.querySelector("input[name=key]:checked");
  return state.keys.find((record) => record.fingerprint === radio?.value) ?? null;
}

function update() {
  const { asked, payload } = state;
  signButton.textContent = payload
    ? `Sign: ${asked.alias} is ${asked.version}`
    : "Sign and move";
  const missing = [
    payload ? "" : "a move that can be made",
    chosenKey() ? "" : "a key",
    state.allowed || !payload ? "" : "checks that all pass",
  ].filter(Boolean);
  signButton.disabled = missing.length > 0;
  const words = missing.length ? `Still needed: ${missing.join(", ")}.` : "";
  byId("sign-missing").replaceChildren(words);
}

async function move() {
  const { asked, payload } = state;
  const record = chosenKey();
  const say = (words) => byId("sign-progress").replaceChildren(words);
  clearError("sign-error");
  signButton.disabled = true;
  try {
    say("Signing in this browser…");
    const envelope = await sign(record, payload);
    say("Sending the envelope; the server checks it and logs it…");
    const json = { envelope, key: record.fingerprint, note: byId("note").value };
    await request("POST", path("models", model, "aliases", asked.alias, "moves"), { json });
    location.assign(`/models/${model}/aliases/${encodeURIComponent(asked.alias)}/`);
  } catch (error) {
    say("");
    await build(); // where the alias stands may have changed
    showError(error, "sign-error");
  }
}

async function start() {
  const problem = signingProblem();
  if (problem) throw new Error(problem);
  byId("alias").addEventListener("input", () => {
    clearTimeout(state.waiting);
    state.waiting = setTimeout(() => void build(), WAIT_MS);
  });
  byId("version").addEventListener("change", () => void build());
  signButton.addEventListener("click", () => void move());
  const store = await openKeyStore();
  await Promise.all([loadKeys(store), build()]);
}

if (signButton) start().catch((error) => showError(error, "sign-error"));
