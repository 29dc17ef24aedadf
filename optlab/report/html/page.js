"use strict";
// Contents that fold on narrow screens and follow the reader, and buttons that copy a command.
(() => {
  const contents = document.querySelector("nav details");
  const wide = matchMedia("(min-width: 68rem)");
  const fold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();

  const links = new Map([...contents.querySelectorAll("a")].map(a => [a.hash.slice(1), a]));
  const sections = [...document.querySelectorAll("main > section")];
  const follow = () => {
    const passed = sections.filter(each => each.getBoundingClientRect().top < innerHeight / 5);
    links.forEach(link => link.removeAttribute("aria-current"));
    links.get((passed.at(-1) ?? sections[0])?.id)?.setAttribute("aria-current", "true");
  };
  addEventListener("scroll", follow, { passive: true });
  follow();

  contents.addEventListener("click", event => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });

  document.querySelectorAll(".copy").forEach(button => button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
  }));
})();
