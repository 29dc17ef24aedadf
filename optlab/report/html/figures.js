"use strict";
// Figures: each is drawn when the reader comes near it, in the colours of the page, with a legend
// that hides and shows series.
(() => {
  const FILTERED = 12;  // entries of a legend, beyond which it can be searched
  const PAPER = 680;  // pixels of a printed page's width
  const figures = [];

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const toggle = (text, isOn, act) =>
    make("button", { type: "button", "aria-pressed": String(isOn), onclick: act }, text);

  const hasWebGL = () => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); }
    catch { return false; }
  };

  class Drawn {
    constructor(element) {
      this.spec = JSON.parse(element.querySelector("script").textContent);
      this.canvas = element.querySelector(".canvas");
      this.tools = make("div", { class: "tools" });
      this.legend = make("div", { class: "legend" });
      this.canvas.before(this.tools);
      this.ramp = make("div", { class: "bar" });
      this.canvas.after(this.ramp, this.legend);
      this.hidden = new Set();
      this.switched = new Set();
      this.choose(this.spec.views ? this.spec.views[0] : this.spec);
    }

    choose(view) {
      for (const entry of view.legend) if (!entry.shown && !this.seen(entry)) this.hidden.add(entry.name);
      this.view = view;
      this.boxes = view.plots.map(plot => {
        const box = make("div");
        const title = plot.title ? [make("h3", {}, plot.title)] : [];
        return make("div", {}, ...title, make("div", { class: "scroll" }, box));
      });
      this.canvas.replaceChildren(make("div", { class: "grid" }, ...this.boxes));
      this.canvas.style.minHeight = "";
      this.list();
      this.offer();
      this.draw();
    }

    seen(entry) {
      return this.view?.legend.some(each => each.name === entry.name) ?? false;
    }

    strays() {
      return this.view.legend.some(entry => !entry.shown && !this.hidden.has(entry.name));
    }

    draw(whole = this.canvas.clientWidth) {
      this.scale();
      this.whole = whole;
      const columns = Math.max(1, Math.min(this.view.columns, this.boxes.length, Math.floor(whole / 260)));
      const grid = this.canvas.firstElementChild;
      grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
      const share = Math.floor((whole - 20 * (columns - 1)) / columns);
      this.view.plots.forEach((plot, place) => {
        const box = this.boxes[place].querySelector(".scroll").firstElementChild;
        if (plot.data[0]?.type === "parcoords" && !hasWebGL()) {
          box.textContent = "This figure needs WebGL, which your browser does not offer here.";
          return;
        }
        const width = Math.max(share, plot.width ?? 0);
        const field = this.spec.fields?.[plot.field];
        const behind = field ? [{ ...field, showscale: !this.isShared() }] : [];
        const data = [...behind, ...plot.data].map(trace => plotting.traced(trace, this.hidden));
        const laid = plotting.laidOut(plot, width, this.switched, this.strays());
        Plotly.react(box, data, laid, { displayModeBar: false });
        if (!box.followed) this.follow(box);
      });
    }

    // Panels over the same field have one bar below them.
    isShared() {
      const { plots } = this.view;
      return plots.length > 1 && plots.every(plot => plot.field !== undefined && plot.field === plots[0].field);
    }

    scale() {
      if (!this.isShared()) return this.ramp.replaceChildren();
      const { zmin, zmax, colorbar } = this.spec.fields[this.view.plots[0].field];
      const ticks = colorbar.tickvals
        ? colorbar.tickvals.map((at, place) => [at, colorbar.ticktext[place]])
        : [zmin, zmax].map(at => [at, String(Number(at.toPrecision(3)))]);
      const names = ticks.map(([at, text]) => {
        const name = make("span", {}, text);
        name.style.left = `${100 * (at - zmin) / (zmax - zmin)}%`;
        return name;
      });
      const bar = make("span", { class: "ramp" }, ...names);
      bar.style.backgroundImage = `linear-gradient(to right, ${plotting.stops("field").join(", ")})`;
      this.ramp.replaceChildren(make("span", {}, colorbar.title.text), bar);
    }

    // Our ticks are few: a reader who looks closer gets plotly's.
    follow(box) {
      box.followed = true;
      box.on("plotly_relayout", change => {
        const nearer = ["xaxis", "yaxis"].filter(name =>
          `${name}.range[0]` in change && box.layout[name].type === "log");
        const ticks = nearer.map(name => [`${name}.tickmode`, "auto"]);
        if (ticks.length) Plotly.relayout(box, Object.fromEntries(ticks));
      });
    }

    offer() {
      const { views, kind } = this.spec;
      this.tools.replaceChildren();
      if (views && views.length > 6) {
        const options = views.map((view, place) => make("option", { value: place }, view.label));
        const select = make("select", { "aria-label": kind }, ...options);
        select.selectedIndex = views.indexOf(this.view);
        select.addEventListener("change", () => {
          this.choose(views[select.selectedIndex]);
          this.tools.querySelector("select").focus();
        });
        this.tools.append(`${kind}: `, select);
      } else if (views && views.length > 1) {
        const buttons = views.map((view, place) => toggle(view.label, view === this.view, () => {
          this.choose(view);
          this.tools.querySelectorAll("[role] button")[place].focus();
        }));
        const group = make("span", { role: "group", "aria-label": kind, class: "tools" }, ...buttons);
        group.style.margin = "0";
        this.tools.append(`${kind}: `, group);
      }
      for (const [name, words] of [["yaxis", "scale"], ["xaxis", "scale across"]]) {
        const other = this.view.plots.find(plot => plot.others?.[name])?.others[name];
        if (!other) continue;
        const button = toggle(`${other.type} ${words}`, this.switched.has(name), () => {
          if (!this.switched.delete(name)) this.switched.add(name);
          button.setAttribute("aria-pressed", String(this.switched.has(name)));
          this.draw();
        });
        this.tools.append(button);
      }
    }

    list() {
      const { legend } = this.view;
      this.legend.replaceChildren();
      if (!legend.length) return;
      const entries = make("div", { class: "entries", role: "group", "aria-label": "series shown" });
      const buttons = legend.map(entry => {
        const button = make("button", {
          type: "button",
          class: "entry",
          title: "Click: hide or show. Double click: this one alone.",
          onclick: () => this.show([entry], this.hidden.has(entry.name)),
          ondblclick: () => { this.show(legend, false); this.show([entry], true); },
        }, swatch(entry), make("span", {}, entry.name));
        return button;
      });
      entries.append(...buttons);
      // Of many series those wait behind a button that are hidden at first.
      const waits = entry => !entry.shown && this.hidden.has(entry.name);
      const isLong = legend.length > FILTERED && legend.some(entry => entry.shown);
      const more = make("button", { type: "button", class: "more", onclick: () => {
        const first = buttons.find(button => button.hidden);
        this.isWhole = true;
        this.mark();
        first.focus();
      } });
      this.mark = () => {
        const isFolded = isLong && !this.isWhole && !this.words.length;
        more.textContent = `and ${legend.filter(waits).length} more`;
        more.hidden = !isFolded || !legend.some(waits);
        buttons.forEach((button, place) => {
          const entry = legend[place];
          button.setAttribute("aria-pressed", String(!this.hidden.has(entry.name)));
          button.hidden = !this.isFound(entry) || (isFolded && waits(entry));
        });
      };
      this.words = [];
      this.mark();
      if (legend.length > FILTERED) this.legend.append(this.search(legend));
      entries.append(more);
      this.legend.append(entries);
    }

    isFound(entry) {
      return this.words.every(word => entry.name.toLowerCase().includes(word));
    }

    search(legend) {
      const field = make("input", {
        type: "search",
        placeholder: `find in ${legend.length} series`,
        "aria-label": "find series",
      });
      field.addEventListener("input", () => {
        this.words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        this.mark();
      });
      const both = [["show all", true], ["hide all", false]].map(([text, isShown]) =>
        make("button", {
          type: "button",
          onclick: () => this.show(legend.filter(entry => this.isFound(entry)), isShown),
        }, text));
      return make("div", { class: "tools" }, field, ...both);
    }

    show(entries, isShown) {
      for (const entry of entries) this.hidden[isShown ? "delete" : "add"](entry.name);
      this.mark();
      this.draw();
    }
  }

  const start = element => {
    watcher.unobserve(element);
    if (!element.drawn) figures.push(element.drawn = new Drawn(element));
  };
  const watcher = new IntersectionObserver(
    seen => seen.filter(each => each.isIntersecting).forEach(each => start(each.target)),
    { rootMargin: "600px" },
  );
  const all = [...document.querySelectorAll("figure.plot")];
  all.forEach(element => watcher.observe(element));

  document.addEventListener("theme", () => figures.forEach(figure => figure.draw()));
  addEventListener("beforeprint", () => {
    all.forEach(start);
    figures.forEach(figure => figure.draw(PAPER));
  });
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => figures.forEach(figure => {
      if (figure.canvas.clientWidth !== figure.whole) figure.draw();
    }), 120);
  });
})();
