// /publish/<owner>/<name>/<revision>/: a card that was typed is not lost by leaving the page.

import { byId } from "../dom.js";

const card = byId("card");
const save = byId("save-card");
const sign = byId("go-sign");
let saving = false;

/** True while the field holds something that the server does not. */
function unsaved() {
  if (!card || saving) return false;
  return card.value !== card.defaultValue || "unsaved" in card.dataset;
}

function show() {
  save?.classList.toggle("primary", unsaved() || !sign);
  sign?.classList.toggle("primary", !unsaved());
}

card?.addEventListener("input", show);
byId("card-form")?.addEventListener("submit", () => {
  saving = true;
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved()) event.preventDefault();
});
window.addEventListener("pageshow", () => {
  saving = false; // also when the reader comes back to a page that was submitted
  show();
});
