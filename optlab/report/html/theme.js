"use strict";
// The theme that the reader chose, else that of the system, before anything is shown.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("optlab-theme"); } catch { /* not allowed to remember */ }
  const apply = theme => {
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };
  const current = () => chosen ?? (system.matches ? "dark" : "light");
  apply(current());
  system.addEventListener("change", () => apply(current()));
  // Paper is white, whatever the screen is.
  addEventListener("beforeprint", () => apply("light"));
  addEventListener("afterprint", () => apply(current()));
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = current() === "dark" ? "light" : "dark"; };
    button.hidden = false;
    button.title = "Switch between a light and a dark page";
    button.addEventListener("click", () => {
      chosen = current() === "dark" ? "light" : "dark";
      try { localStorage.setItem("optlab-theme", chosen); } catch { /* for this time then */ }
      apply(chosen);
      name();
    });
    system.addEventListener("change", name);
    name();
  });
})();
