// In <head>, before anything is painted: the theme that the reader chose here earlier.
(() => {
  try {
    const theme = localStorage.getItem("assay-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser that keeps nothing: the system's theme then.
  }
})();
