// Quality against cost, drawn by Vega-Lite, which is loaded once the table stands.
"use strict";
(function () {
  const { data, groups, state, chosen, figures, passes, change, listen, load, short, fixed, ends, make } = window.e2r;
  const place = document.getElementById("chart");
  const label = document.getElementById("chart-group");
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

  function priced(group) {
    return data.rows.filter((row) => {
      const seen = row.group === group.id && row.state === "ranked" && !row.idle && figures(row);
      return seen && seen.quality && seen.petaflops && seen.petaflops[0] > 0;
    });
  }

  const select = make("select", { name: "chart" });
  const known = Array.from(groups.values()).filter((group) => priced(group).length > 1);
  for (const group of known) {
    const kind = group.published ? "published" : group.first_stage;
    select.add(new Option(`${group.dataset} (${kind}, top ${group.depth})`, group.id));
  }
  select.addEventListener("change", () => change("chart", select.value));
  label.append(make("label", {}, "Rows on", select));

  function current() {
    const named = known.find((group) => group.id === state.get("chart"));
    const filtered = known.find((group) => priced(group).some(passes));
    return named || filtered || known[0];
  }

  function point(row) {
    const seen = figures(row);
    const [value, low, high] = seen.quality;
    return {
      id: row.id,
      page: row.page,
      model: row.label,
      method: row.method,
      family: row.family,
      quality: value,
      low: low ?? value,
      high: high ?? value,
      cost: seen.petaflops[0],
      frontier: seen.frontier,
      open: !["made here", "priced exactly"].includes(row.kind),
      said: {
        title: `${row.method} · ${row.label}`,
        [chosen("measure")]: [fixed(value), ends(seen.quality, (end) => fixed(end, 3))].filter(Boolean).join(" "),
        "PFLOPs per query": short(seen.petaflops[0]),
        RPP: short(seen.rpp && seen.rpp[0]),
        rank: String(seen.rank ?? "–"),
        cost: row.kind,
      },
    };
  }

  // The frontier as stairs: each step keeps the quality that was reached.
  function stairs(points) {
    const line = points.filter((item) => item.frontier).sort((a, b) => a.cost - b.cost);
    return line.map((item, order) => ({ cost: item.cost, quality: item.quality, order }));
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
    const families = Array.from(new Set(points.map((item) => item.family)));
    const style = getComputedStyle(document.body);
    const ink = style.color;
    const quiet = style.getPropertyValue("--rule").trim();
    const shapes = families.map((family) => (FAMILIES[family] || OTHER)[1]);
    const colours = families.map((family) => (FAMILIES[family] || OTHER)[0]);
    const convention = points.length ? figures(e2r.rows.get(points[0].id)).convention : chosen("convention");
    const x = {
      field: "cost",
      type: "quantitative",
      scale: { type: "log", nice: false, padding: 24 },
      axis: { title: `PFLOPs per query, convention ${convention} (log scale)`, format: "~g", values: ticks(all.map((item) => item.cost)), grid: true },
    };
    const y = (field) => ({
      field,
      type: "quantitative",
      scale: { zero: false, padding: 12 },
      axis: { title: chosen("measure"), grid: true },
    });
    const colour = { field: "family", type: "nominal", scale: { domain: families, range: colours }, title: null };
    return {
      width: "container",
      height: 360,
      background: "transparent",
      autosize: { type: "fit-x", contains: "padding" },
      config: {
        font: style.getPropertyValue("--sans").trim().replaceAll('"', "'"),
        view: { stroke: null },
        axis: { gridColor: quiet, domainColor: quiet, tickColor: quiet, labelColor: ink, titleColor: ink, titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 },
        legend: { labelColor: ink, orient: "top", columns: Math.max(1, Math.floor(place.clientWidth / 100)), labelFontSize: 12, symbolSize: 90, symbolOpacity: 1 },
        aria: false,
      },
      layer: [
        {
          data: { values: stairs(all) },
          mark: { type: "line", interpolate: "step-after", color: ink, opacity: 0.5, strokeWidth: 1.2 },
          encoding: { x, y: y("quality"), order: { field: "order" } },
        },
        {
          data: { values: points },
          mark: { type: "rule", opacity: 0.35, strokeWidth: 1.5 },
          encoding: { x, y: y("low"), y2: { field: "high" }, color: colour },
        },
        {
          data: { values: points },
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
          data: { values: points.filter((item) => item.open) },
          mark: { type: "point", filled: true, opacity: 1, color: style.backgroundColor, cursor: "pointer" },
          encoding: {
            x,
            y: y("quality"),
            shape: { field: "family", type: "nominal", scale: { domain: families, range: shapes }, title: null },
            size: { condition: { test: "datum.frontier", value: 50 }, value: 22 },
            tooltip: { field: "said" },
          },
        },
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
    select.value = group.id;
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
    said.textContent = `${shownPoints} rows; the line joins the frontier: nothing is both cheaper and better than a row on it. A hollow mark has a cost by estimate, by means or as printed. Hover for figures, click to open a row; the table below holds the same figures.`;
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
      if (item && item.datum && item.datum.page) location.assign(item.datum.page);
    });
    place.dataset.ready = group.id;
  }

  listen(() => void draw());
  dark.addEventListener("change", () => void draw());
  const start = () => load("vega.js").then(draw).catch(() => (said.textContent = "The chart cannot be loaded; the table holds its figures."));
  if ("requestIdleCallback" in window) requestIdleCallback(start, { timeout: 1000 });
  else setTimeout(start, 50);
})();
