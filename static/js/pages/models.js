// /models/: the list follows what is typed. Whoever only reads it loads no htmx, which does that: it
// comes when the search is first used. Until it is there, and without it, the form is sent as forms are.

const form = document.querySelector("form[data-follow]");
const chosen = () => JSON.stringify([...new FormData(form)]);
const shown = form && chosen();
let begun = false;

/** htmx finds the form by itself; what was chosen while it came is asked for now. */
function fetchHtmx() {
  const script = document.createElement("script");
  script.src = form.dataset.follow;
  script.addEventListener("load", () => {
    if (chosen() !== shown) htmx.trigger(form, "submit");
  });
  document.head.append(script);
}

/** htmx looks at the page once, when it is whole. */
function begin() {
  if (begun) return;
  begun = true;
  if (document.readyState === "complete") fetchHtmx();
  else addEventListener("load", fetchHtmx, { once: true });
}

for (const use of ["focusin", "input", "change"]) form?.addEventListener(use, begin);
