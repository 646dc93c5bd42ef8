// Draws the board's rows, quality against cost, and where a cost falls among them.
"use strict";
(function () {
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 340;
  const MARGIN = { top: 30, right: 18, bottom: 48, left: 56 };

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Round steps that leave at most `most` ticks between two values.
  function ticks(low, high, most) {
    const raw = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= raw);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9; i += 1) found.push(i * step);
    return found;
  }

  function decade(exponent) {
    if (exponent >= -3 && exponent <= 3) return String(Number((10 ** exponent).toPrecision(1)));
    return `1e${exponent}`.replace("-", "−");
  }

  // A chart in `figure`; draw(rows, measure) puts rows of {cost, quality, frontier, name} into it,
  // mark(cost) the line.
  function chart(figure) {
    const svg = element("svg", { role: "img" });
    const back = element("g", {});
    const front = element("g", { class: "point" });
    svg.append(back, front);
    figure.prepend(svg);
    let rows = [];
    let measure = "";
    let cost = null;
    let drawn = "";
    let scale = null;

    function scales(width) {
      const costs = rows.map((row) => row.cost).concat(cost === null ? [] : [cost]);
      const values = rows.map((row) => row.quality);
      const low = Math.floor(Math.log10(costs.length ? Math.min(...costs) : 1e-3));
      const high = Math.max(low + 1, Math.ceil(Math.log10(costs.length ? Math.max(...costs) : 1)));
      let bottom = values.length ? Math.min(...values) : 0;
      let top = values.length ? Math.max(...values) : 1;
      const room = (top - bottom || 0.1) * 0.12;
      bottom = Math.max(0, bottom - room);
      top += room;
      const inner = width - MARGIN.left - MARGIN.right;
      const tall = HEIGHT - MARGIN.top - MARGIN.bottom;
      return {
        width, low, high, bottom, top,
        x: (value) => MARGIN.left + (inner * (Math.log10(value) - low)) / (high - low),
        y: (value) => MARGIN.top + tall * (1 - (value - bottom) / (top - bottom)),
      };
    }

    function background() {
      const { width, low, high, bottom, top, x, y } = scale;
      back.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      const end = HEIGHT - MARGIN.bottom;
      const every = Math.ceil((high - low) / Math.max(2, Math.floor(width / 90)));
      for (let exponent = low; exponent <= high; exponent += every) {
        const at = x(10 ** exponent);
        back.append(
          element("line", { x1: at, x2: at, y1: MARGIN.top, y2: end, class: "grid" }),
          element("text", { x: at, y: end + 18, class: "tick middle" }, decade(exponent)),
        );
      }
      for (const value of ticks(bottom, top, 5)) {
        const at = y(value);
        back.append(
          element("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at, class: "grid" }),
          element("text", { x: MARGIN.left - 8, y: at + 4, class: "tick end" }, String(Number(value.toPrecision(3)))),
        );
      }
      const middle = (MARGIN.left + width - MARGIN.right) / 2;
      back.append(
        element("text", { x: middle, y: HEIGHT - 8, class: "tick middle" }, "PFLOPs per query, logarithmic"),
        element("text", { x: 4, y: 16, class: "tick" }, measure),
      );
      const best = rows.filter((row) => row.frontier).sort((a, b) => a.cost - b.cost);
      if (best.length > 1) {
        const points = best.map((row) => `${x(row.cost)},${y(row.quality)}`).join(" ");
        back.append(element("polyline", { points, class: "frontier-line" }));
      }
      for (const row of rows) {
        const dot = element("circle", {
          cx: x(row.cost), cy: y(row.quality), r: 5, class: row.frontier ? "dot best" : "dot",
        });
        dot.append(element("title", {}, row.name));
        back.append(dot);
      }
    }

    function redraw() {
      const width = Math.max(280, Math.round(figure.clientWidth));
      scale = scales(width);
      const now = [width, scale.low, scale.high].join();
      if (now !== drawn) background();
      drawn = now;
      front.replaceChildren();
      if (cost === null) return;
      const at = scale.x(cost);
      const right = at > scale.width / 2;
      front.append(
        element("line", { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
        element("text", { x: at + (right ? -6 : 6), y: MARGIN.top - 8, class: right ? "end" : "" }, "this setting"),
      );
    }

    new ResizeObserver(redraw).observe(figure);
    return {
      draw(newRows, newMeasure, label) {
        rows = newRows;
        measure = newMeasure;
        drawn = "";
        svg.setAttribute("aria-label", label);
        redraw();
      },
      mark(newCost) {
        cost = newCost;
        redraw();
      },
    };
  }

  window.e2rChart = chart;
})();
