// /publish/<owner>/<name>/: choose, hash, upload, commit.

import { request } from "../api.js";
import { fromDrop, fromInput, skipReason } from "../chosen-files.js";
import { byId, clearError, digestElement, el, formatBytes, say, showError } from "../dom.js";
import { HashClient } from "../hash-client.js";
import { rememberHashed } from "../hashed-files.js";
import { compareCodePoints } from "../assay/manifest.js";
import { partSizeFor, uploadFile } from "../uploads.js";

const main = document.querySelector("main[data-page=publish-files]");
const model = main?.dataset.model ?? "";
const uploadButton = byId("upload");
const commitButton = byId("commit");
const hasher = new HashClient();
/** @type {Map<string, Row>} */
const rows = new Map();
const skipped = new Map();
let running = null; // the AbortController of the upload that runs
let begun = { at: 0, worked: 0 };

/** One file and its row of the table. */
class Row {
  hashed = null;
  stored = false;
  worked = 0; // bytes hashed and bytes sent: twice the size when all is done

  constructor({ path, file }) {
    Object.assign(this, { path, file });
    this.state = el("span", {}, "chosen");
    this.progress = el("progress", { max: 1, value: 0, "aria-label": `Progress of ${path}` });
    this.digest = el("td", {});
    const remove = () => !running && (rows.delete(path), show());
    const words = { type: "button", class: "link-button", "aria-label": `Remove ${path}` };
    this.remove = el("button", { ...words, onclick: remove }, "Remove");
    this.element = el(
      "tr",
      { "data-path": path },
      el("th", { scope: "row", class: "wrap whole-line" }, path),
      el("td", { class: "num" }, formatBytes(file.size)),
      el("td", {}, this.state, " ", this.remove),
      el("td", {}, this.progress),
      this.digest,
    );
  }

  say(word, done = null) {
    this.state.textContent = word;
    if (done === null) return;
    const share = this.file.size ? done / this.file.size : 1;
    this.progress.value = share;
    this.progress.textContent = `${Math.round(share * 100)} %`;
  }

  /** Tell how far the hashing or (with the hashing `before` it) the sending is. */
  work(word, done, before) {
    this.worked = before + done;
    this.say(word, done);
    showPace();
  }

  /** Hash and upload this file; a stop or an error leaves it where it can go on. */
  async bring(signal) {
    const { file } = this;
    if (this.stored) return;
    const hash = (partSize) => {
      const onProgress = (at) => this.work("hashing", at, 0);
      return hasher.hash(file, { partSize, signal, onProgress });
    };
    this.hashed ??= await hash(partSizeFor(file.size));
    this.digest.replaceChildren(digestElement(this.hashed.sha256, "SHA-256"));
    this.say("hashed", 0);
    const onEvent = (event) => this.tell(event);
    await uploadFile(file, this.hashed, { request, rehash: hash, onEvent, signal });
    this.stored = true;
    this.worked = 2 * file.size;
  }

  tell(event) {
    if (event.kind === "sending") this.work("sending", event.sent, this.file.size);
    if (event.kind === "checking") this.say("the server is hashing it", this.file.size);
    if (event.kind === "resumed") {
      this.say(`resumed: ${event.missing} of ${event.parts} parts missing`);
    }
    if (event.kind === "retrying") {
      const where = event.part < 0 ? "" : ` part ${event.part + 1}`;
      const why = navigator.onLine ? event.reason : "This computer is offline.";
      this.say(`retrying${where}, attempt ${event.attempt + 1}: ${why}`);
    }
    if (event.kind === "stored") {
      this.say(event.sent === 0 ? "already stored, not sent" : "stored", this.file.size);
    }
  }
}

function add(chosen) {
  if (running) return;
  for (const { path, file } of chosen) {
    const reason = skipReason(path);
    if (reason) skipped.set(path, reason);
    else rows.set(path, new Row({ path, file }));
  }
  show();
}

function show() {
  const sorted = [...rows.values()].sort((a, b) => compareCodePoints(a.path, b.path));
  byId("file-rows")?.replaceChildren(...sorted.map((row) => row.element));
  const todo = sorted.filter((row) => !row.stored);
  const ready = sorted.length > 0 && todo.length === 0;
  if (uploadButton) uploadButton.disabled = todo.length === 0;
  if (commitButton) commitButton.disabled = !ready;
  uploadButton?.classList.toggle("primary", !ready);
  commitButton?.classList.toggle("primary", ready);
  for (const row of sorted) row.remove.hidden = running !== null || row.stored;
  for (const id of ["folder", "files"]) if (byId(id)) byId(id).disabled = running !== null;
  if (byId("chosen")) byId("chosen").hidden = sorted.length === 0;
  summarise(sorted);
}

function summarise(sorted) {
  const size = sorted.reduce((sum, row) => sum + row.file.size, 0);
  const stored = sorted.filter((row) => row.stored).length;
  const files = sorted.length === 1 ? "1 file" : `${sorted.length} files`;
  const words = [`${files}, ${formatBytes(size)}; ${stored} stored.`];
  for (const [path, reason] of skipped) words.push(`Left out: ${path} ${reason}.`);
  say("upload-summary", sorted.length ? words.join(" ") : "No file chosen yet.");
}

async function uploadAll() {
  clearError("upload-error");
  running = new AbortController();
  const { signal } = running;
  uploadButton.textContent = "Pause";
  const todo = [...rows.values()].filter((row) => !row.stored);
  begun = { at: Date.now(), worked: worked() };
  show();
  let row;
  try {
    for (row of todo) {
      await row.bring(signal);
      summarise([...rows.values()]);
    }
    uploadButton.textContent = "Hash and upload";
  } catch (error) {
    uploadButton.textContent = "Go on";
    if (signal.aborted) row.say("paused");
    else {
      row.say("failed");
      showError(error, "upload-error");
    }
  } finally {
    running = null;
    say("upload-pace", "");
    show();
  }
}

function worked() {
  return [...rows.values()].reduce((sum, row) => sum + row.worked, 0);
}

/** Say how fast it goes and how long it may take; hashing and sending count alike. */
function showPace() {
  const elapsedS = (Date.now() - begun.at) / 1000;
  if (elapsedS < 1) return;
  const all = [...rows.values()].reduce((sum, row) => sum + 2 * row.file.size, 0);
  const rate = (worked() - begun.worked) / elapsedS;
  if (rate <= 0) return;
  const leftS = Math.ceil((all - worked()) / rate);
  const words = `${formatBytes(Math.round(rate))}/s, about ${leftS} s left`;
  say("upload-pace", leftS > 0 ? words : "");
}

async function commit() {
  clearError("upload-error");
  commitButton.disabled = true;
  const files = [...rows.values()].map(({ path, hashed }) => ({ path, sha256: hashed.sha256 }));
  const message = byId("message")?.value || "Uploaded in the browser";
  const json = { files, parent: main.dataset.parent || null, message };
  try {
    const { id } = await request("POST", `models/${model}/revisions`, { json });
    rememberHashed(sessionStorage, model, files);
    location.assign(`/publish/${model}/${id}/`);
  } catch (error) {
    showError(error, "upload-error");
    commitButton.disabled = false;
  }
}

function bindDrop(zone) {
  const over = (event) => {
    event.preventDefault();
    zone.toggleAttribute("data-over", event.type === "dragover");
  };
  zone.addEventListener("dragover", over);
  zone.addEventListener("dragleave", over);
  zone.addEventListener("drop", (event) => {
    over(event);
    fromDrop(event.dataTransfer).then(add, (error) => showError(error, "upload-error"));
  });
}

for (const id of ["files", "folder"]) {
  const input = byId(id);
  input?.addEventListener("change", () => {
    add(fromInput(input.files));
    input.value = ""; // the same file may be chosen again
  });
}
if (byId("drop")) bindDrop(byId("drop"));
uploadButton?.addEventListener("click", () => {
  if (running) running.abort(new Error("paused"));
  else void uploadAll();
});
commitButton?.addEventListener("click", () => void commit());
window.addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault();
});
