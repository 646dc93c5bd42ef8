// Two or more runs side by side; every test was computed by Python, the page only picks.
"use strict";
(function () {
  const { data, groups, rows, lines, state, chosen, figures, change, listen, load, short, fixed, ends, p, make } = window.e2r;
  const section = document.getElementById("compare");
  const content = document.getElementById("compared");
  let asked = null;

  function picked() {
    const ids = (state.get("compare") || "").split(" ").filter((id) => rows.has(id) && !["incomplete", "unverified"].includes(rows.get(id).state));
    return Array.from(new Set(ids)).map((id) => rows.get(id));
  }

  function toggle(id, on) {
    const ids = picked().map((row) => row.id).filter((other) => other !== id);
    change("compare", [...ids, ...(on ? [id] : [])].join(" "));
  }

  // A folder's name that would mean something to a shell stays a word.
  const quoted = (word) => (/^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);
  const named = (row) => `${row.method} · ${row.label}`;
  const link = (row) => make("a", { href: row.page }, named(row));

  function cells(name, attributes, ...values) {
    return values.map((value) => make(name, attributes, ...(Array.isArray(value) ? value : [value])));
  }

  function grid(caption, heads, lists) {
    const head = make("tr", {}, ...heads.map((text, place) => make("th", { scope: "col", class: place ? "n" : null }, text)));
    const made = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...lists));
    return make("div", { class: "wide", role: "region", "aria-label": caption, tabindex: 0 }, made);
  }

  function withEnds(span, write, small) {
    const text = ends(span, small);
    return [span ? write(span[0]) : "–", ...(text ? [" ", make("small", {}, text)] : [])];
  }

  function summary(chosenRows) {
    return grid(`The chosen rows: ${chosen("measure")}, FLOPs by ${chosen("convention")}.`,
      ["Row", "Rank", chosen("measure"), "PFLOPs/query", "RPP", "Calls"],
      chosenRows.map((row) => {
        const seen = figures(row);
        const small = (value) => short(value, 3);
        return make("tr", {}, make("th", { scope: "row" }, link(row)), ...cells("td", { class: "n" },
          seen.rank === null ? "–" : String(seen.rank),
          withEnds(seen.quality, fixed, (value) => fixed(value, 3)),
          seen.foreign ? [short(seen.petaflops[0]), " ", make("small", {}, `by ${seen.convention}`)] : withEnds(seen.petaflops, short, small),
          withEnds(seen.rpp, short, small), short(row.calls)));
      }));
  }

  // The duel of two runs; the other way round its signs and sides change, nothing else.
  function duel(row, base) {
    const place = data.measures.indexOf(chosen("measure"));
    const { pairs } = window.e2rPairs;
    const straight = pairs[`${row.id} ${base.id}`];
    const found = straight || pairs[`${base.id} ${row.id}`];
    if (!found || !found.duels[place]) return null;
    const [difference, pRandom, pT, wins, ties, losses] = found.duels[place];
    if (straight) return { difference, pRandom, pT, wins, ties, losses };
    const [value, low, high] = difference;
    const turned = difference.length === 3 ? [-value, -high, -low] : [-value];
    return { difference: turned, pRandom, pT, wins: losses, ties, losses: wins };
  }

  // The interval is known under the board's first convention; elsewhere the means' quotient stands.
  function ratio(row, base) {
    const { pairs } = window.e2rPairs;
    const straight = pairs[`${row.id} ${base.id}`];
    const turned = pairs[`${base.id} ${row.id}`];
    const times = (value) => `${short(Number(value.toPrecision(6)), 3)} ×`;
    if (chosen("convention") === data.conventions[0] && (straight || turned)) {
      const span = straight ? straight.ratio : turned.ratio && Array.from(turned.ratio, (value) => 1 / value);
      if (!span || !span.every(Number.isFinite)) return "–";
      const [value, ...two] = span;
      const bounds = two.sort((x, y) => x - y);
      return [times(value), ...(bounds.length ? [" ", make("small", {}, bounds.map((end) => short(Number(end.toPrecision(6)), 3)).join("–"))] : [])];
    }
    const cost = figures(row).petaflops;
    const other = figures(base).petaflops;
    return cost && other && other[0] > 0 ? times(cost[0] / other[0]) : "–";
  }

  function signed(value) {
    return `${value > 0 ? "+" : value < 0 ? "−" : ""}${fixed(Math.abs(value))}`;
  }

  function contrasts(base, others) {
    const small = (value) => `${value < 0 ? "−" : ""}${fixed(Math.abs(value), 3)}`;
    return grid(
      `Against ${named(base)}, query by query: difference in ${chosen("measure")} with its 95 % interval; p-values of the paired randomisation test (100,000 sign flips) and of the t test, not corrected for ${others.length > 1 ? "the " + others.length + " comparisons" : "further comparisons that you make"}.`,
      ["Row", "Difference", "p, randomisation", "p, t test", "Better / equal / worse", "FLOPs"],
      others.map((row) => {
        const found = duel(row, base);
        const head = make("th", { scope: "row" }, link(row));
        if (!found) {
          return make("tr", {}, head, make("td", { colspan: 4 }, "not tested on this page; use the command below"), ...cells("td", { class: "n" }, ratio(row, base)));
        }
        return make("tr", {}, head, ...cells("td", { class: "n" },
          [signed(found.difference[0]), ...(found.difference.length === 3 ? [" ", make("small", {}, found.difference.slice(1).map(small).join(" to "))] : [])], p(found.pRandom), p(found.pT),
          `${found.wins} / ${found.ties} / ${found.losses}`, ratio(row, base)));
      }));
  }

  function byQuery(base, others) {
    const place = data.measures.indexOf(chosen("measure"));
    const { queries, values } = window.e2rPairs;
    const of = (row) => values[row.id] && values[row.id][place];
    if (![base, ...others].every(of)) return [];
    const heads = ["Query", named(base), ...others.flatMap((row) => [named(row), "Difference"])];
    const lists = queries[base.group].map((qid, number) => {
      const start = of(base)[number];
      const more = others.flatMap((row) => {
        const value = of(row)[number];
        return [fixed(value), signed(Number((value - start).toPrecision(6)))];
      });
      return make("tr", {}, make("th", { scope: "row" }, qid), ...cells("td", { class: "n" }, fixed(start), ...more));
    });
    const table = grid(`${chosen("measure")} of each query, and what it is above ${named(base)}.`, heads, lists);
    return [make("details", {}, make("summary", {}, `All ${lists.length} queries`), table)];
  }

  function draw() {
    const chosenRows = picked();
    section.hidden = bar.hidden = chosenRows.length === 0;
    count.textContent = chosenRows.length === 1 ? "1 row chosen" : `${chosenRows.length} rows chosen`;
    const ids = new Set(chosenRows.map((row) => row.id));
    for (const line of lines) if (line.box && line.box.checked !== ids.has(line.row.id)) line.box.checked = ids.has(line.row.id);
    if (!chosenRows.length) return;
    const [base, ...others] = chosenRows;
    const parts = [summary(chosenRows)];
    if (!others.length) {
      content.replaceChildren(...parts, make("p", {}, "Tick a second row to compare it with this one."));
      return;
    }
    const equals = others.filter((row) => row.group === base.group && !groups.get(row.group).published);
    const strangers = others.filter((row) => !equals.includes(row));
    if (strangers.length) {
      parts.push(make("p", { class: "note" }, `Not tested against the first row: ${strangers.map(named).join("; ")}. Tests need both rows’ values on the same queries and candidates; published rows give only means.`));
    }
    if (!equals.length) {
      content.replaceChildren(...parts);
      return;
    }
    if (!window.e2rPairs) {
      content.replaceChildren(...parts, make("p", {}, "Loading the tests …"));
      asked = asked || load("pairs-data.js").then(draw).catch(() => content.append(make("p", {}, "The tests cannot be loaded.")));
      return;
    }
    const command = ["e2r compare", ...[base, ...equals].map((row) => quoted(`runs/${row.place}`))].join(" ");
    const open = content.querySelector("details[open]") !== null;
    parts.push(contrasts(base, equals), make("p", {}, "With Holm’s correction: ", make("code", {}, command)), ...byQuery(base, equals));
    content.replaceChildren(...parts);
    const details = content.querySelector("details");
    if (details && open) details.open = true;
  }

  for (const line of lines) {
    const box = make("input", { type: "checkbox", "aria-label": `Compare ${named(line.row)}, ${line.row.dataset}` });
    box.addEventListener("change", () => toggle(line.row.id, box.checked));
    line.box = box;
    line.cells.rank.before(make("td", { class: "pick" }, box));
  }
  const first = document.getElementById("board").tHead.rows[0].cells[0];
  first.before(make("th", { scope: "col", class: "pick" }, make("span", { class: "heard" }, "Compare")));
  const count = make("span", { role: "status" });
  const go = make("button", { type: "button" }, "Compare");
  const clear = make("button", { type: "button" }, "Clear");
  const bar = make("div", { class: "controls picked", role: "group", "aria-label": "Rows to compare" }, count, go, clear);
  const heading = document.getElementById("comparing");
  heading.tabIndex = -1;
  go.addEventListener("click", () => {
    heading.focus({ preventScroll: true });
    heading.scrollIntoView();
  });
  clear.addEventListener("click", () => change("compare", null));
  document.getElementById("main").append(bar);
  listen(draw);
})();
