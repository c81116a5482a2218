"use strict";
const touch = window.matchMedia("(pointer: coarse)").matches;
const inTheDark = window.matchMedia("(prefers-color-scheme: dark)");
const here = (id) => document.getElementById(id);
let printing = false, drawn = 0;

// Figures are made for light paper; each colour has a counterpart. Always a copy: plotly.js writes into what it is given.
function coloured(value) {
  if (Array.isArray(value)) return value.map(coloured);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, coloured(each)]));
  }
  return typeof value === "string" && inTheDark.matches && !printing && dark[value] ? dark[value] : value;
}

function draw(id, figure) {
  const spot = here(id), first = !spot.classList.contains("js-plotly-plot"), {data, layout} = coloured(figure);
  layout.uirevision = "kept";
  // A finger that drags over a figure wants to scroll the page.
  if (touch) layout.dragmode = false;
  if (first) {
    for (const [axis, range] of Object.entries(place.zoomed[id] || {})) {
      if (layout[axis]) Object.assign(layout[axis], {range, autorange: false});
    }
  }
  return Plotly.react(spot, data, layout, {responsive: true, displaylogo: false, displayModeBar: false}).then(() => {
    if (!first) return;
    drawn += 1;
    document.body.dataset.drawn = drawn;
    const trialOf = (event) => {
      const point = event.points[0];
      return point.data.meta === "trials" && point.customdata ? point.customdata[1] : null;
    };
    spot.on("plotly_hover", (event) => spot.classList.toggle("pointing", trialOf(event) !== null));
    spot.on("plotly_unhover", () => spot.classList.remove("pointing"));
    spot.on("plotly_click", (event) => {
      const number = trialOf(event);
      if (number !== null) location.hash = `${id.match(/^(s\d+-)?/)[0]}trial-${number}`;
    });
    spot.on("plotly_relayout", (change) => {
      const zoomed = {};
      for (const axis of ["xaxis", "yaxis"]) {
        if (`${axis}.range[0]` in change) zoomed[axis] = [change[`${axis}.range[0]`], change[`${axis}.range[1]`]];
      }
      if (Object.keys(zoomed).length) place.zoomed[id] = {...place.zoomed[id], ...zoomed};
      else if (Object.keys(change).some((name) => name.endsWith("autorange"))) delete place.zoomed[id];
    });
  });
}

const shown = (id) => { const fold = here(id).closest("details"); return !fold || fold.open; };
function drawAll(again) {
  for (const [id, figure] of Object.entries(figures)) {
    if (shown(id) && (again || !here(id).classList.contains("js-plotly-plot"))) draw(id, figure);
  }
}
document.querySelectorAll("details").forEach((fold) => fold.addEventListener("toggle", () => drawAll(false)));

// A trial that was clicked on: which one is in the address, so that it can be sent and is still there after a reload.
const panel = here("trial");
let before = null;
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
function opened() {
  const found = location.hash.match(/^#(s\d+-)?trial-(\d+)$/);
  const search = found && searches[found[1] || ""], card = search && search.cards[found[2]];
  return card ? {prefix: found[1] || "", number: Number(found[2]), search, card} : null;
}
function drawCurve({number, search, card}) {
  const others = card.beside.map(([other, what]) => [other, `trial ${other}, ${what}`, search.cards[other].curve]);
  const looks = Object.fromEntries(card.beside.map(([other, what]) => [other, search.looks[what] || search.looks.other]));
  const lines = [...others, [number, `trial ${number}`, card.curve]].filter(([, , curve]) => curve.length);
  const data = lines.map(([other, name, curve]) => ({
    type: "scatter", name, x: curve.map((point) => point[0]), y: curve.map((point) => point[1]),
    mode: curve.length === 1 ? "markers" : "lines",
    line: other === number ? {color: search.looks.own, width: 2.6} : {width: 1.4, ...looks[other]},
    marker: {color: other === number ? search.looks.own : looks[other].color},
    meta: "trials", customdata: curve.map(() => ["", other]), hovertemplate: "%{x} passes: %{y:.4f}",
  }));
  here("trial-curve").hidden = !data.length;
  if (data.length) draw("trial-curve", {data, layout: search.layout});
}
function show() {
  const open = opened();
  document.body.classList.toggle("beside", open !== null);
  if (!open) {
    if (!panel.hidden) { panel.hidden = true; if (before) before.focus(); before = null; }
    return;
  }
  const {prefix, number, search, card} = open;
  if (panel.hidden) before = document.activeElement;
  panel.hidden = false;
  here("trial-title").textContent = `${search.name}Trial ${number}`;
  here("trial-says").replaceChildren(...card.says.map((text) => element("p", text)));
  const head = document.createElement("tr");
  head.replaceChildren(...card.head.map((text) => { const cell = element("th", text); cell.scope = "col"; return cell; }));
  here("trial-head").replaceChildren(head);
  here("trial-rows").replaceChildren(...card.rows.map((cells) => {
    const row = document.createElement("tr");
    row.replaceChildren(...cells.map((text) => element("td", text)));
    return row;
  }));
  here("trial-ask").textContent = card.ask;
  for (const way of ["better", "worse"]) {
    here(`trial-${way}`).disabled = card[way] === null;
    here(`trial-${way}`).onclick = () => { location.hash = `${prefix}trial-${card[way]}`; };
  }
  drawCurve(open);
}
function shut() {
  try { history.pushState(null, "", location.pathname + location.search); } catch { location.hash = ""; }
  show();
}
here("trial-close").addEventListener("click", shut);
window.addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) shut(); });
window.addEventListener("hashchange", () => {
  show();
  if (opened()) { panel.scrollTop = 0; here("trial-title").focus({preventScroll: true}); return; }
  // A link to one of several searches unfolds it.
  const fold = location.hash && here(location.hash.slice(1));
  if (fold && fold.matches("details")) { fold.open = true; fold.scrollIntoView(); }
});

drawAll(false);
show();
if (kept.panel) panel.scrollTop = kept.panel;
inTheDark.addEventListener("change", () => { drawAll(true); if (opened()) drawCurve(opened()); });
// Paper is white, and narrower than a screen: figures are drawn again in the width that they have on it.
window.addEventListener("beforeprint", () => {
  printing = true;
  drawAll(true);
  for (const spot of document.querySelectorAll("main .js-plotly-plot")) {
    Plotly.relayout(spot, {width: spot.parentElement.matches(".one, .narrow") ? 670 : 330});
  }
});
window.addEventListener("afterprint", () => {
  printing = false;
  drawAll(true);
  for (const spot of document.querySelectorAll("main .js-plotly-plot")) Plotly.relayout(spot, {width: null, autosize: true});
});
