"use strict";
// What plotly draws of a plot: in the colours of the page, with texts as the user wrote them.
const plotting = (() => {
  const NARROW = 560;  // pixels of a figure
  const LETTER = 6.6;  // pixels of a letter beside an axis, about
  const NAME = 24;  // letters of a name on parallel axes
  const BLACK = "#000000";

  const colour = name =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const isDark = () => document.documentElement.dataset.theme === "dark";

  // Plotly reads some HTML in texts; those of a user are to be read as they are.
  const plain = text => String(text)
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const plainly = value => Array.isArray(value) ? value.map(plainly) : plain(value);
  const cut = (text, length) => {
    if (text.length <= length) return text;
    const head = Math.floor((length - 1) / 3);
    return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
  };
  const wrapped = (text, length) => {
    const lines = [""];
    for (const word of String(text).split(" ")) {
      const last = lines.at(-1);
      if (last && last.length + word.length >= length) lines.push(word);
      else lines[lines.length - 1] = last ? `${last} ${word}` : word;
    }
    return lines.map(plain).join("<br>");
  };

  const axis = (given, width, isUpright, beside = 60) => {
    const letters = isUpright
      ? Math.max(10, Math.floor(width * 0.42 / LETTER))
      : Math.max(10, Math.floor(width / Math.max(1, given.tickvals?.length ?? 1) / 3));
    const longest = isUpright ? 44 : 48;
    // Across, words go below one another where names would touch.
    const share = (width - 150) / Math.max(1, given.tickvals?.length ?? 1) / LETTER - 1;
    const named = text => {
      const kept = cut(text, Math.min(letters, longest));
      return isUpright || kept.length <= share ? plain(kept) : wrapped(kept, share);
    };
    return {
      showgrid: !given.named || isUpright,
      gridcolor: colour("rule"),
      showline: true,
      linecolor: colour("soft"),
      ticks: given.named ? "" : "outside",
      ticklen: 4,
      tickcolor: colour("soft"),
      tickfont: { size: 12, color: colour("soft") },
      zeroline: false,
      automargin: true,
      exponentformat: "power",
      minexponent: 4,
      nticks: width < NARROW ? 5 : undefined,
      ...given,
      ...(given.named && { ticktext: given.ticktext.map(named) }),
      title: {
        text: wrapped(given.title.text, isUpright ? 40 : Math.max(20, (width - beside) / 7)),
        standoff: 8,
        font: { size: 13 },
      },
    };
  };

  const bar = given => given && {
    thickness: 10,
    outlinewidth: 0,
    tickfont: { size: 11, color: colour("soft") },
    exponentformat: "power",
    ...given,
    title: { ...given.title, text: wrapped(given.title.text, 34), font: { size: 12 } },
  };

  const inked = look => look && {
    ...look,
    ...(look.color === BLACK && { color: colour("ink") }),
    ...(look.line && { line: inked(look.line) }),
  };

  const stops = name => name === "field"
    ? (isDark() ? ["#15171a", "#4a5058"] : ["#fdfdfb", "#b0aea6"])
    : optlabShades[name];
  const scale = name => stops(name).map((stop, place, all) => [place / (all.length - 1), stop]);

  // What plotly draws: colours of the page, texts as they are.
  const traced = (trace, hidden) => {
    const ours = {
      ...trace,
      name: plain(cut(trace.name ?? "", 48)),
      showlegend: false,
      visible: trace.visible !== false && !hidden.has(trace.name),
      hoverlabel: { namelength: -1, align: "left" },
    };
    for (const key of ["line", "error_x", "error_y"]) if (trace[key]) ours[key] = inked(trace[key]);
    if (trace.marker) {
      const edge = trace.marker.line ? inked(trace.marker.line) : { color: colour("paper"), width: 0.8 };
      ours.marker = { ...inked(trace.marker), line: edge };
    }
    if (trace.fillcolor && isDark()) ours.opacity = 2 * trace.opacity;
    if (trace.fillcolor === BLACK) ours.fillcolor = colour("ink");
    if (trace.text) ours.text = plainly(trace.text);
    if (trace.colorbar) ours.colorbar = bar(trace.colorbar);
    if (trace.type === "contour") {
      ours.colorscale = scale("field");
      ours.line = { width: 0.5, color: colour("rule") };
    }
    if (trace.type === "heatmap") {
      ours.colorscale = scale(trace.map);
      ours.customdata = plainly(trace.customdata);
    }
    if (trace.type === "parcoords") {
      ours.line = { ...trace.line, colorscale: scale("lines"), colorbar: bar(trace.line.colorbar) };
      ours.dimensions = trace.dimensions.map(each => ({ ...each, 
        label: plain(cut(each.label, NAME)),
        ticktext: each.ticktext.map(text => cut(text, NAME)),
      }));
      ours.labelfont = { size: 13 };
      ours.tickfont = { size: 11, color: colour("ink") };
      ours.rangefont = { size: 1, color: "rgba(0,0,0,0)" };
      ours.unselected = { line: { color: colour("rule"), opacity: 0.4 } };
    }
    return ours;
  };

  // Room for the names beside the first of parallel axes.
  const beside = trace => {
    const lengths = (trace.dimensions[0]?.ticktext ?? []).map(text => text.length);
    return Math.max(60, 20 + LETTER * Math.min(NAME, Math.max(...lengths)));
  };

  const laidOut = (plot, width, switched, isWhole) => {
    const { layout } = plot;
    const isParallel = plot.data[0]?.type === "parcoords";
    const isNarrow = width < NARROW;
    const ours = {
      width,
      height: plot.height > 360 && isNarrow && !layout.yaxis?.named ? 320 : plot.height,
      autosize: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: isParallel ? { l: beside(plot.data[0]), r: 20, t: 50, b: 20 } : { l: 8, r: 10, t: 14, b: 8 },
      hovermode: "closest",
      hoverlabel: {
        bgcolor: colour("paper"),
        bordercolor: colour("soft"),
        font: { color: colour("ink"), size: 12 },
      },
      // A finger on a figure scrolls the page.
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    };
    if (isParallel) return { ...ours, paper_bgcolor: colour("paper") };
    if (plot.data[0]?.type === "heatmap") ours.plot_bgcolor = colour("tint");
    const of = name => ({ ...layout[name], ...(switched.has(name) && plot.others?.[name]) });
    const x = axis(of("xaxis"), width, false, layout.yaxis.named ? 0.45 * width : 60);
    const y = axis(of("yaxis"), width, true);
    // What was hidden at first had no say in what is shown.
    if (!y.named && isWhole) Object.assign(y, { autorange: true });
    const placed = (axis, at, ref) => ref !== "paper" && axis.type === "log" ? Math.log10(at) : at;
    const annotations = (layout.annotations ?? []).map(each => ({
      font: { size: 11, color: colour("soft") },
      ...each,
      text: plain(cut(each.text, 40)),
      x: placed(x, each.x, each.xref),
      y: placed(y, each.y, each.yref),
    }));
    const shapes = (layout.shapes ?? []).map(each => ({
      ...each,
      line: { color: colour("soft"), width: 1.2, dash: "4px,3px" },
    }));
    return { ...ours, xaxis: x, yaxis: y, annotations, shapes };
  };

  return { traced, laidOut, stops };
})();
