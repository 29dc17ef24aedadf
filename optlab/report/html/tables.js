"use strict";
// Tables: headings sort, a button unfolds what was left out at first.
(() => {
  const number = text => {
    const value = Number(text.replace("∞", "Infinity"));
    return text === "" || Number.isNaN(value) ? null : value;
  };

  const row = (texts, heads) => {
    const element = document.createElement("tr");
    texts.forEach((text, place) => {
      const cell = element.insertCell();
      cell.textContent = text;
      cell.className = heads[place].className;
    });
    return element;
  };

  // What is missing comes last either way.
  const order = (one, other, isUp) => {
    if (one === "" || other === "") return (one === "") - (other === "");
    const [a, b] = [number(one), number(other)];
    const way = a !== null && b !== null
      ? Math.sign(a - b) || 0
      : one.localeCompare(other, "en", { numeric: true });
    return isUp ? way : -way;
  };

  // What stands in the row above is faint, from the left as far as it is the same.
  const faint = body => {
    let above = null;
    for (const { cells } of body.rows) {
      let isSame = above !== null;
      [...cells].forEach((cell, place) => {
        isSame &&= cell.textContent !== "" && cell.textContent === above[place].textContent;
        cell.classList.toggle("same", isSame);
      });
      above = cells;
    }
  };

  const start = figure => {
    const body = figure.querySelector("tbody");
    const heads = [...figure.querySelectorAll("th")];
    const unfold = figure.querySelector(".unfold");
    const unfolded = () => {
      if (!unfold?.isConnected) return;
      const rest = JSON.parse(figure.querySelector("script").textContent);
      body.append(...rest.map(texts => row(texts, heads)));
      unfold.remove();
      faint(body);
    };
    faint(body);
    unfold?.addEventListener("click", unfolded);
    heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => {
      unfolded();
      const isUp = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      const text = each => each.cells[place].textContent;
      body.append(...[...body.rows].sort((a, b) => order(text(a), text(b), isUp)));
      faint(body);
    }));
  };

  document.querySelectorAll("figure.data").forEach(start);
})();
