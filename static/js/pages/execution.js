// /executions/<id>/: when a checkpoint covers the entry, show the server's new words about it.

import "../panel.js"; // the panel that takes the place of a pending one brings no script of its own

const PENDING = '[data-evidence="ledger"][data-state="pending"]';
let following = null; // the panel that is being waited for

async function refresh() {
  const main = document.querySelector("main[data-page=execution]");
  const panel = main?.querySelector(".evidence");
  if (!panel?.querySelector(PENDING) || panel === following) return;
  following = panel;
  const { waitIncluded } = await import("../infer.js");
  const included = await waitIncluded(`/executions/${main.dataset.execution}/receipt`);
  if (!included) {
    const words = panel.querySelector(`${PENDING} [data-evidence-words]`);
    if (words) words.textContent = "still waiting for a checkpoint; look again later";
    return;
  }
  const response = await fetch(location.href);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.querySelector(".evidence");
  if (fresh) panel.replaceWith(document.importNode(fresh, true));
}

void refresh();
// A queued execution's page is exchanged whole when the execution ends.
document.addEventListener("htmx:load", () => void refresh());
