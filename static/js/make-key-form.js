// The form `#make-key`: make, hand out the backup, register. Its page is told of the new key.

import { request } from "./api.js";
import { byId, download, el, guarded } from "./dom.js";
import { renderBackup } from "./key-backup.js";
import { makeKey } from "./keys.js";
import { registerKey } from "./registration.js";

/**
 * @param {import("./key-store.js").KeyStore} store
 * @param {string} owner
 * @param {(record: import("./key-store.js").KeyRecord) => Promise<void>} onMade called once the
 *   key is in this browser, and again when it is registered
 * @param {boolean} [mayRegister] false: an admin of the owner registers it later
 */
export function bindMakeKey(store, owner, onMade, mayRegister = true) {
  const form = byId("make-key");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit], button");
    void guarded(button, "make-key-error", async () => {
      const { name, passphrase } = form.elements;
      const made = await makeKey(store, {
        owner,
        name: name.value.trim(),
        passphrase: passphrase.value,
      });
      downloadBackup(made);
      showDone(made, "is made");
      await onMade(made);
      if (mayRegister) {
        await registerKey(request, made);
        showDone(made, "is made and registered");
        await onMade(made);
      }
      form.reset(); // the passphrase stays in the field until all is done
      byId("make-key-done")?.focus(); // the form may be folded away now
    });
  });
}

/**
 * Give the reader the backup file of a key.
 *
 * @param {import("./key-store.js").KeyRecord} record
 */
export function downloadBackup({ fingerprint, backup }) {
  download(`assay-key-${fingerprint.slice(0, 8)}.json`, renderBackup(backup));
}

function showDone(record, state) {
  const again = () => downloadBackup(record);
  byId("make-key-done")?.replaceChildren(
    el(
      "div",
      { class: "callout" },
      el("p", { class: "callout-title" }, `The key "${record.name}" ${state}`),
      el(
        "p",
        {},
        "Keep its backup file, which was downloaded just now: when this browser forgets the key, " +
          "only the file and the passphrase bring it back.",
      ),
      el("button", { type: "button", class: "button", onclick: again }, "Download it again"),
    ),
  );
}
