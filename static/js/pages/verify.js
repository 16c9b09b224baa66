// /verify/: what a reader hands in, by hand or by link. The check itself is in `verify/desk.js`.

import { fromDrop, fromInput, skipReason } from "../chosen-files.js";
import { byId, clearError, el, guarded, showError } from "../dom.js";
import { Hands, recognise } from "../verify/handed.js";
import { LIMITS, read, receiptAddress, siteFetch } from "../verify/sources.js";

const ERROR = "verify-error";
let hands = new Hands();
let turn = 0; // of the newest wish: an older one does nothing any more
let desk = null; // the module that checks, once it is there

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

/** Check what is in hand. */
async function start() {
  const mine = (turn += 1);
  const held = hands;
  await fetchDesk();
  if (mine === turn) await desk.start(held);
}

async function fetchDesk() {
  try {
    desk = await import("../verify/desk.js");
  } catch (error) {
    const words = "This page's code for checking could not be fetched: are you offline? Load it again,";
    throw new Error(`${words} or check with \`assay verify --offline\`.`, { cause: error });
  }
}

function startOver() {
  turn += 1;
  desk?.stop();
  hands = new Hands();
  byId("verify-form").reset();
  byId("receipt-address").value = "";
  byId("result").hidden = true;
  clearError(ERROR);
  showHanded();
  byId("files").focus();
}

function words(typed) {
  return `"${typed.slice(0, 80)}" is no address of this site: a page reads its own server only.`;
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

/** Once the page stands, have the desk too: from then on no network is needed. */
function fetchLater() {
  const later = globalThis.requestIdleCallback ?? ((then) => setTimeout(then, 200));
  later(() => void fetchDesk().catch(() => {})); // the first check says why, if it fails again
}

if (byId("tool")) {
  listen();
  if (document.readyState === "complete") fetchLater();
  else addEventListener("load", fetchLater, { once: true });
  void followLink().catch((error) => showError(error, ERROR));
}
