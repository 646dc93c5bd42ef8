// Quality against cost, drawn by Vega-Lite, which is loaded once the table stands.
"use strict";
(function () {
  const { data, groups, collection, placed, chosen, figures, passes, listen, load, short, fixed, ends, make } = window.e2r;
  const place = document.getElementById("chart");
  const picked = document.getElementById("chart-picked");
  const steps = document.getElementById("frontier");
  const said = document.getElementById("chart-said");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // Okabe and Ito's palette, as in the pictures that Python draws.
  const FAMILIES = {
    first_stage: ["#777777", "diamond"],
    pointwise: ["#0072B2", "circle"],
    pairwise: ["#CC79A7", "triangle-down"],
    setwise: ["#D55E00", "square"],
    listwise: ["#009E73", "triangle-up"],
    tournament: ["#E69F00", "cross"],
    attention: ["#56B4E9", "triangle-right"],
  };
  const OTHER = ["#999999", "triangle-left"];
  const HEIGHT = 360;

  function priced(group) {
    return data.rows.filter((row) => {
      const seen = row.group === group.id && row.state === "ranked" && !row.idle && figures(row);
      return seen && seen.quality && seen.axis && seen.axis[0] > 0;
    });
  }

  // The collection that is shown; of all collections, the first that has rows in this view.
  function current() {
    const known = Array.from(groups.values()).filter((group) => priced(group).length > 1);
    if (groups.has(collection())) return known.find((group) => group.id === collection());
    return known.find((group) => priced(group).some(passes)) || known[0];
  }

  const LONGEST = 60;
  const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

  function point(row) {
    const seen = figures(row);
    const [value, low, high] = seen.quality;
    return {
      id: row.id,
      page: row.page,
      model: row.label,
      method: row.method,
      family: row.family,
      name: cut(row.family === "first_stage" ? row.label : `${row.label} · ${row.method}`),
      detail: row.template,
      quality: value,
      low: low ?? value,
      high: high ?? value,
      cost: seen.axis[0],
      unit: seen.unit,
      frontier: seen.frontier,
      open: !["made here", "priced exactly"].includes(row.kind),
      said: {
        title: `${row.method} · ${row.label}`,
        [chosen("measure")]: [fixed(value), ends(seen.quality, (end) => fixed(end, 3))].filter(Boolean).join(" "),
        "PFLOPs per query": short(seen.petaflops && seen.petaflops[0]),
        ...(data.money ? { [data.money]: short(seen.money && seen.money[0]) } : {}),
        ...(seen.unit === "PFLOPs" || seen.unit === data.money ? {} : { [seen.unit]: short(seen.axis[0]) }),
        RPP: short(seen.rpp && seen.rpp[0]),
        rank: String(seen.rank ?? "–"),
        cost: row.kind,
      },
    };
  }

  // Steps of one model and method are told apart by what differs: a set's size, a template.
  function onFrontier(points) {
    const line = points.filter((item) => item.frontier).sort((a, b) => a.cost - b.cost);
    const twice = (item) => item.detail && line.filter((other) => other.name === item.name).length > 1;
    return line.map((item) => (twice(item) ? { ...item, name: `${item.name} (${item.detail})` } : item));
  }

  // The frontier as stairs: each step keeps the quality that was reached.
  function stairs(points, from) {
    return onFrontier(points).map((item, order) => ({ cost: Math.max(item.cost, from), quality: item.quality, order }));
  }

  // Names above the points that they stand for, in as many rows as keep them apart; numbers of
  // the list below where the page is narrow.
  const LETTER = 6.1;
  const LINE = 15;
  function labels(points, domain, width) {
    const short = width < 640;
    const across = (cost) => (width * Math.log(cost / domain[0])) / Math.log(domain[1] / domain[0]);
    const ends = [];
    const made = onFrontier(points).map((item, place) => {
      const text = short ? String(place + 1) : item.name;
      const wide = text.length * LETTER + 10;
      const at = across(item.cost);
      const left = at + wide > width ? at - wide : at;
      let row = ends.findIndex((end) => end <= left);
      if (row < 0) row = ends.length;
      ends[row] = left + wide;
      return { cost: item.cost, quality: item.quality, page: item.page, text, row, align: left === at ? "left" : "right" };
    });
    // Levels are above the picture, where y is negative. The leftmost name of a heap stands
    // highest, so that no line to a point crosses a name on its way.
    return made.map((item) => ({ ...item, level: (item.row - ends.length) * LINE }));
  }

  // Powers of ten, and between them 2 and 5 where there is room.
  function ticks(values) {
    const low = Math.floor(Math.log10(Math.min(...values)));
    const high = Math.ceil(Math.log10(Math.max(...values)));
    const steps = high - low > 3 ? [1] : [1, 2, 5];
    const powers = Array.from({ length: high - low + 1 }, (_, place) => low + place);
    return powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`)));
  }

  function spec(group) {
    const all = priced(group).map(point);
    const visible = new Set(priced(group).filter(passes).map((row) => row.id));
    const points = all.filter((item) => visible.has(item.id));
    const style = getComputedStyle(document.body);
    const ink = style.color;
    const quiet = style.getPropertyValue("--rule").trim();
    // The first stage costs next to nothing: it is a line at the margin, not a point far away.
    const rerankers = all.filter((item) => item.family !== "first_stage");
    const margin = rerankers.length ? all.filter((item) => item.family === "first_stage") : [];
    const within = rerankers.length ? rerankers : all;
    const costs = within.map((item) => item.cost);
    const domain = [Math.min(...costs) / 1.5, Math.max(...costs) * 1.5];
    const dots = points.filter((item) => within.includes(item));
    const families = Array.from(new Set(dots.map((item) => item.family)));
    const shapes = families.map((family) => (FAMILIES[family] || OTHER)[1]);
    const colours = families.map((family) => (FAMILIES[family] || OTHER)[0]);
    const said = labels(within.filter((item) => visible.has(item.id)), domain, Math.max(200, place.clientWidth - 60));
    const convention = points.length ? figures(e2r.rows.get(points[0].id)).convention : chosen("convention");
    const unit = points.length && points[0].unit !== "PFLOPs" ? points[0].unit : `PFLOPs per query, convention ${convention}`;
    const x = {
      field: "cost",
      type: "quantitative",
      scale: { type: "log", nice: false, domain },
      axis: { title: `${unit} (log scale)`, format: "~g", values: ticks(domain).filter((value) => value >= domain[0] && value <= domain[1]), grid: true },
    };
    const bottom = Math.min(...all.map((item) => item.low));
    const height = Math.max(...all.map((item) => item.high));
    const room = (height - bottom || 0.1) * 0.04;
    const levels = [bottom - room, height + room];
    const y = (field) => ({
      field,
      type: "quantitative",
      scale: { zero: false, nice: false, domain: levels },
      axis: { title: chosen("measure"), grid: true },
    });
    const colour = { field: "family", type: "nominal", scale: { domain: families, range: colours }, title: null };
    return {
      width: "container",
      height: HEIGHT,
      title: { text: `${group.dataset}, ${placed(group)}`, anchor: "start", color: ink, fontSize: 13, fontWeight: "normal" },
      background: "transparent",
      autosize: { type: "fit-x", contains: "padding" },
      config: {
        font: style.getPropertyValue("--sans").trim().replaceAll('"', "'"),
        view: { stroke: null },
        axis: { gridColor: quiet, domainColor: quiet, tickColor: quiet, labelColor: ink, titleColor: ink, titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 },
        legend: { labelColor: ink, orient: "bottom", columns: Math.max(1, Math.floor(place.clientWidth / 100)), labelFontSize: 12, symbolSize: 90, symbolOpacity: 1 },
        aria: false,
      },
      layer: [
        {
          data: { values: stairs(all, domain[0]) },
          mark: { type: "line", interpolate: "step-after", color: ink, opacity: 0.5, strokeWidth: 1.2 },
          encoding: { x, y: y("quality"), order: { field: "order" } },
        },
        {
          data: { values: dots },
          mark: { type: "rule", opacity: 0.35, strokeWidth: 1.5 },
          encoding: { x, y: y("low"), y2: { field: "high" }, color: colour },
        },
        {
          data: { values: dots },
          params: [{ name: "over", select: { type: "point", on: "pointerover", clear: "pointerout" } }],
          mark: { type: "point", filled: true, opacity: 1, cursor: "pointer" },
          encoding: {
            x,
            y: y("quality"),
            color: colour,
            shape: { field: "family", type: "nominal", scale: { domain: families, range: shapes }, title: null },
            size: { condition: [{ param: "over", empty: false, value: 260 }, { test: "datum.frontier", value: 150 }], value: 80 },
            stroke: { condition: { test: "datum.frontier", value: ink }, value: null },
            tooltip: { field: "said" },
          },
        },
        {
          // Holes make hollow marks of those whose cost is not counted call by call.
          data: { values: dots.filter((item) => item.open) },
          mark: { type: "point", filled: true, opacity: 1, color: style.backgroundColor, cursor: "pointer" },
          encoding: {
            x,
            y: y("quality"),
            shape: { field: "family", type: "nominal", scale: { domain: families, range: shapes }, title: null },
            size: { condition: { test: "datum.frontier", value: 50 }, value: 22 },
            tooltip: { field: "said" },
          },
        },
        {
          data: { values: margin },
          mark: { type: "rule", strokeDash: [4, 3], opacity: 0.8, color: FAMILIES.first_stage[0] },
          encoding: { y: y("quality") },
        },
        {
          data: { values: margin.map((item) => ({ ...item, text: `${cut(item.model)} ${fixed(item.quality)}` })) },
          mark: { type: "text", align: "left", dx: 4, dy: -6, color: ink, fontSize: 11 },
          encoding: { x: { value: 0 }, y: y("quality"), text: { field: "text" } },
        },
        ...said.flatMap((item) => [
          {
            data: { values: [item] },
            mark: { type: "rule", strokeWidth: 0.6, opacity: 0.5, color: ink },
            encoding: { x, y: y("quality"), y2: { value: item.level } },
          },
          {
            data: { values: [item] },
            mark: { type: "text", align: item.align, baseline: "middle", dx: item.align === "left" ? 3 : -3, color: ink, fontSize: 11, cursor: "pointer" },
            encoding: { x, y: { value: item.level }, text: { field: "text" } },
          },
        ]),
      ],
    };
  }

  let drawn = null;
  let view = null;
  async function draw() {
    const group = current();
    if (!group) {
      place.closest("section").hidden = true;
      return;
    }
    place.closest("section").hidden = false;
    list(group);
    if (!priced(group).some(passes)) {
      said.textContent = `No row of ${group.dataset} in this view has both ${chosen("measure")} and a cost.`;
      place.hidden = true;
      return;
    }
    place.hidden = false;
    const wanted = spec(group);
    const text = JSON.stringify(wanted) + dark.matches;
    if (!window.vegaEmbed) return;
    const shownPoints = wanted.layer[2].data.values.length;
    said.textContent = `${shownPoints} rows; the line joins the frontier: nothing is both cheaper and better than a row on it, and its marks are outlined. A hollow mark has a cost by estimate, by means or as printed. Point at a mark for its figures, click to open its row (on a phone: tap, and tap again); the table below holds the same figures.`;
    if (text === drawn) return;
    drawn = text;
    if (view) view.finalize();
    const result = await window.vegaEmbed(place, wanted, {
      mode: "vega-lite",
      ast: true, // no code is made from text, as the page's policy demands
      renderer: "svg",
      actions: false,
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true, theme: "ours" },
    });
    view = result.view;
    // One picture with one name, which the page gives; the table says what its marks would.
    place.querySelector("svg").setAttribute("aria-hidden", "true");
    view.addEventListener("click", (event, item) => {
      if (!item || !item.datum || !item.datum.page) return;
      if (item.datum.said) open(item.datum);
      else location.assign(item.datum.page);
    });
    place.dataset.ready = group.id;
  }

  // The same in words: what the next step costs, and what it brings.
  function list(group) {
    const points = priced(group).filter(passes).map(point);
    const line = onFrontier(points).filter((item) => item.family !== "first_stage" || points.every((other) => other.family === "first_stage"));
    document.getElementById("frontier-said").hidden = !line.length;
    steps.replaceChildren(...line.map((item) => make("li", {},
      make("a", { href: item.page }, item.name),
      `: ${chosen("measure")} ${fixed(item.quality)} from ${short(item.cost)} ${item.unit}`)));
  }

  // A mouse has hovered before it clicks; a finger's first tap shows, its second opens.
  let finger = false;
  let tapped = null;
  place.addEventListener("pointerdown", (event) => (finger = event.pointerType === "touch"), true);
  function open(item) {
    if (!finger || tapped === item.id) {
      location.assign(item.page);
      return;
    }
    tapped = item.id;
    const { title, ...facts } = item.said;
    const told = Object.entries(facts).map(([name, value]) => `${name} ${value}`).join("; ");
    picked.replaceChildren(make("a", { href: item.page }, title), `: ${told}. Tap again to open it.`);
    picked.hidden = false;
  }

  listen(() => void draw());
  dark.addEventListener("change", () => void draw());
  const start = () => load("vega.js").then(draw).catch(() => (said.textContent = "The chart cannot be loaded; the table holds its figures."));
  if ("requestIdleCallback" in window) requestIdleCallback(start, { timeout: 1000 });
  else setTimeout(start, 50);
})();
