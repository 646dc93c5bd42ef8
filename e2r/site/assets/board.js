// The table: measure, convention, filters and order; the view is kept in the address.
"use strict";
(function () {
  const { UNDEFINED, short, fixed, ends, make } = window.e2r;
  const data = window.e2rBoard;
  const table = document.getElementById("board");
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const names = Object.fromEntries(heads.map((head) => [head.dataset.key, head.textContent.trim()]));
  for (const head of document.querySelectorAll("thead th[data-key]")) head.dataset.col = head.dataset.key;
  const shown = document.getElementById("shown");
  const groups = new Map(data.groups.map((group) => [group.id, group]));
  const rows = new Map(data.rows.map((row, number) => [row.id, { ...row, number }]));
  const listeners = [];
  const selects = {};

  const SIZES = [
    [1e9, "under 1 B"],
    [1e10, "1–10 B"],
    [1e11, "10–100 B"],
    [Infinity, "100 B and more"],
  ];
  const size = (row) =>
    row.parameters === null ? "no model" : SIZES.find(([most]) => row.parameters < most)[1];
  const filters = {
    source: ["Source", (row) => row.kind],
    family: ["Family", (row) => row.family],
    model: ["Model", (row) => row.label],
    size: ["Size", size],
  };
  // One collection at a time: figures of two do not compare. The richest comes first.
  const ALL = "all";
  const placed = (group) => `${group.published ? "published, " : ""}${group.first_stage} top ${group.depth}${group.queries === null ? "" : `, ${group.queries} queries`}`;
  function collection() {
    const held = state.get("on");
    return held === ALL || groups.has(held) ? held : data.groups.length ? data.groups[0].id : ALL;
  }
  const choices = {
    measure: ["Measure", data.measures],
    convention: ["Convention", data.conventions],
    // What the picture's cost is; there where runs have money by a price list, or seconds.
    ...(data.axes ? { axis: ["Cost axis", data.axes] } : {}),
  };
  const state = new URLSearchParams();
  // Long tables are laid out in parts: a browser takes its time over a thousand rows.
  const PART = 200;
  let most = PART;

  function chosen(name) {
    const held = state.get(name);
    const place = choices[name][1].indexOf(held);
    return place > 0 && (name !== "axis" || hasAxis(place)) ? held : choices[name][1][0];
  }

  // Whether any row of the collection that is shown has the cost of an axis.
  const axesOf = new Map();
  function hasAxis(place) {
    const key = `${place} ${collection()}`;
    if (!axesOf.has(key)) {
      const here = (row) => collection() === ALL || row.group === collection();
      axesOf.set(key, place === 0 || data.rows.some((row) => here(row) && row.spent && row.spent[place]));
    }
    return axesOf.get(key);
  }

  // What a row costs in this view. Published rows have no price but that of their own convention;
  // it is shown, said to be another's, and sorts behind the others.
  function costs(row) {
    const wanted = chosen("convention");
    const own = row.group && groups.get(row.group).convention;
    const held = row.costs[wanted] ? wanted : own;
    return held ? { convention: held, foreign: held !== wanted, ...row.costs[held] } : null;
  }

  function figures(row) {
    const measure = data.measures.indexOf(chosen("measure"));
    const cost = costs(row);
    const place = data.axes ? data.axes.indexOf(chosen("axis")) : 0;
    const spent = row.spent && row.spent[place];
    return {
      axis: place && row.family !== "first_stage" ? spent && spent.cost : cost && cost.petaflops,
      unit: place ? data.units[place] : "PFLOPs",
      money: row.money ?? null,
      rank: row.ranks[measure] ?? null,
      quality: row.quality[measure],
      petaflops: cost && cost.petaflops,
      rpp: cost && cost.rpp[measure],
      qpp: cost && cost.qpp,
      frontier: Boolean(place ? spent && spent.frontier && spent.frontier[measure] : cost && cost.frontier[measure]),
      convention: cost && cost.convention,
      foreign: Boolean(cost && cost.foreign),
    };
  }

  const KEYS = {
    rank: (row, seen) => seen.rank,
    label: (row) => row.label,
    size: (row) => row.parameters,
    method: (row) => row.method,
    dataset: (row) => `${row.dataset} ${row.depth}`,
    quality: (row, seen) => seen.quality && seen.quality[0],
    petaflops: (row, seen) => seen.petaflops && seen.petaflops[0],
    money: (row) => row.money && row.money[0],
    rpp: (row, seen) => seen.rpp && seen.rpp[0],
    qpp: (row, seen) => seen.qpp && seen.qpp[0],
    calls: (row) => row.calls,
    rounds: (row) => row.rounds,
    failures: (row) => row.failures,
  };
  const PRICES = ["petaflops", "rpp", "qpp"];
  const order = new Intl.Collator("en", { numeric: true });

  function sort() {
    const [key, direction] = (state.get("sort") || "").split(".");
    const known = heads.some((head) => head.dataset.key === key);
    for (const head of heads) {
      if (known && head.dataset.key === key) head.setAttribute("aria-sort", direction === "descending" ? direction : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const sign = direction === "descending" ? -1 : 1;
    const keyed = lines.map((line) => {
      const row = line.row;
      const seen = known && figures(row);
      const value = known ? KEYS[key](row, seen) : null;
      const behind = known && (value === null || value === undefined ? 2 : PRICES.includes(key) && seen.foreign ? 1 : 0);
      return { line, value, behind: Number(behind) };
    });
    keyed.sort((x, y) => {
      if (x.behind !== y.behind) return x.behind - y.behind;
      const compared =
        !known || x.behind === 2 ? 0
        : typeof x.value === "number" ? x.value - y.value
        : order.compare(x.value, y.value);
      return sign * compared || x.line.row.number - y.line.row.number;
    });
    ordered = keyed.map((item) => item.line);
    body.append(...ordered.map((line) => line.element));
  }

  // Rows whose order follows from the first stage's alone are left out until asked for.
  function passes(row) {
    if (row.idle && state.get("idle") !== "shown") return false;
    if (collection() !== ALL && row.group !== collection()) return false;
    return Object.entries(filters).every(([name, [, of]]) => !state.has(name) || of(row) === state.get(name));
  }

  function filter() {
    let count = 0;
    for (const line of ordered) {
      const passed = passes(line.row);
      count += passed ? 1 : 0;
      const hidden = !passed || count > most;
      if (line.element.hidden !== hidden) line.element.hidden = hidden;
    }
    const here = data.rows.filter((row) => row.group && (collection() === ALL || row.group === collection()));
    const found = count === here.length ? `${count} rows` : `${count} of ${here.length} rows`;
    const left = here.filter((row) => row.idle).length;
    const without = left && state.get("idle") !== "shown" ? `; ${left} rows whose order follows from the first stage’s alone are left out` : "";
    shown.textContent = (count > most ? `${found}, the first ${most} shown` : found) + without;
    more.hidden = count <= most;
  }

  function grow(step) {
    most += step;
    filter();
  }

  function write(cell, text, small) {
    cell.replaceChildren(text, ...(small ? [" ", make("small", {}, small)] : []));
  }

  function writeCost(cell, span, seen, nothing) {
    const foreign = seen.foreign ? `by ${seen.convention}` : "";
    write(cell, span ? short(span[0]) : nothing, ends(span, (value) => short(value, 3)) || (span ? foreign : ""));
  }

  function fill(line) {
    const { row, cells } = line;
    const seen = figures(row);
    write(cells.quality, fixed(seen.quality && seen.quality[0]), ends(seen.quality, (value) => fixed(value, 3)));
    // A model whose architecture nobody knows computes no fewer FLOPs for that.
    const closed = !Object.keys(row.costs).length;
    for (const name of PRICES) writeCost(cells[name], seen[name], seen, closed && name === "petaflops" ? "unknown" : UNDEFINED);
    if (row.state === "ranked") {
      const star = line.star;
      cells.rank.replaceChildren(seen.rank === null ? UNDEFINED : String(seen.rank), ...(seen.frontier ? [star] : []));
      line.element.classList.toggle("frontier", seen.frontier);
    }
  }

  function view() {
    for (const line of [...lines, ...apart]) fill(line);
    for (const element of document.querySelectorAll("[data-shows]")) {
      element.textContent = chosen(element.dataset.shows);
    }
    for (const element of document.querySelectorAll("[data-per]")) {
      element.title = `${chosen("measure")} per PetaFLOP`;
    }
  }

  function nameCells() {
    for (const { cells } of [...lines, ...apart]) cells.quality.dataset.head = chosen("measure");
  }

  // Every change of the view: what is drawn follows, then the address.
  const seenAs = () => Object.keys(choices).map(chosen).join("\n");
  let filled = seenAs();
  let heard = null;
  let sorted = null;
  function draw() {
    if (filled !== seenAs()) view();
    const order = `${state.get("sort")} ${seenAs()}`;
    if (sorted !== order) sort();
    sorted = order;
    if (filled !== seenAs()) nameCells();
    filled = seenAs();
    filter();
    const group = groups.get(collection());
    table.classList.toggle("one", Boolean(group));
    title.textContent = group ? `${group.dataset}: all rows` : "All rows";
    where.textContent = group ? `${placed(group)}. ` : "";
    for (const [name, select] of Object.entries(selects)) {
      const mark = name === "on" ? collection() : name === "sort" ? state.get("sort") || "" : choices[name] ? chosen(name) : state.has(name) ? `=${state.get(name)}` : "";
      select.value = mark;
    }
    if (selects.axis) {
      const known = data.axes.map((_, place) => hasAxis(place));
      Array.from(selects.axis.options, (option, place) => (option.hidden = option.disabled = !known[place]));
      selects.axis.parentElement.hidden = known.filter(Boolean).length < 2;
    }
    const others = new URLSearchParams(state);
    others.delete("sort");
    if (heard === others.toString()) return;
    heard = others.toString();
    for (const listener of listeners) listener();
  }

  function remember() {
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  // What is dragged changes the view at once and the address when it is let go: browsers refuse
  // hundreds of addresses a minute.
  function change(name, value, dragged = false) {
    if (name !== "compare" && name !== "budget") most = PART;
    if (value === null || value === "") state.delete(name);
    else state.set(name, value);
    if (!dragged) remember();
    draw();
  }

  function recall() {
    // A link within the page, such as the one that skips to the content, is no view.
    if (location.hash.length > 1 && !location.hash.includes("=") && sorted !== null) return;
    for (const name of Array.from(state.keys())) state.delete(name);
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) state.set(name, value);
    for (const [name, [, of]] of Object.entries(filters)) {
      if (state.has(name) && !data.rows.some((row) => of(row) === state.get(name))) state.delete(name);
    }
    draw();
  }

  function read(element) {
    const row = rows.get(element.id.slice(2));
    const cells = Object.fromEntries(Array.from(element.cells, (cell, place) => [heads[place].dataset.key, cell]));
    // A card on a phone has no heads above it: each cell says what it holds.
    for (const [key, cell] of Object.entries(cells)) {
      cell.dataset.col = key;
      cell.dataset.head = names[key];
    }
    const star = make("span", { class: "star", title: "on the frontier: nothing is both cheaper and better" });
    star.append(make("span", { "aria-hidden": "true" }, "★"), make("span", { class: "heard" }, " on the frontier"));
    return { element, row, cells, star };
  }

  function offer(name, title, options) {
    const select = make("select", { name });
    for (const [text, value] of options) select.add(new Option(text, value));
    select.addEventListener("change", () => change(name, select.value));
    selects[name] = select;
    return make("label", {}, title, select);
  }

  function choose(name, title, values, all) {
    const select = make("select", { name });
    // Values of filters carry a mark, so that a run's name can never be the empty choice.
    if (all) select.add(new Option("all", ""));
    for (const value of values) select.add(new Option(value, all ? `=${value}` : value));
    select.addEventListener("change", () => change(name, all ? select.value.slice(1) : select.value));
    selects[name] = select;
    return make("label", {}, title, select);
  }

  const title = document.getElementById("all");
  const where = document.getElementById("where");
  const lines = Array.from(body.rows, read);
  let ordered = lines;
  const apart = Array.from(document.querySelectorAll("#apart tbody tr"), read);

  const views = document.getElementById("views");
  const collections = data.groups.map((group) => [`${group.dataset} (${placed(group)})`, group.id]);
  views.append(offer("on", "Collection", [...collections, ["all collections", ALL]]));
  for (const [name, [title, values]] of Object.entries(choices)) views.append(choose(name, title, values, false));
  const sieve = document.getElementById("filters");
  for (const [name, [title, of]] of Object.entries(filters)) {
    const values = Array.from(new Set(data.rows.map(of)));
    if (name === "size") values.sort((a, b) => SIZES.findIndex(([, text]) => text === a) - SIZES.findIndex(([, text]) => text === b));
    else values.sort(order.compare);
    sieve.append(choose(name, title, values, true));
  }
  if (data.rows.some((row) => row.idle)) {
    const idle = make("input", { type: "checkbox", name: "idle" });
    idle.addEventListener("change", () => change("idle", idle.checked ? "shown" : null));
    sieve.append(make("label", {}, idle, " Rows in the first stage’s order"));
    listeners.push(() => (idle.checked = state.get("idle") === "shown"));
  }
  const reset = make("button", { type: "button" }, "Reset");
  reset.addEventListener("click", () => {
    history.replaceState(null, "", location.pathname + location.search);
    recall();
  });
  sieve.append(reset);

  const sorts = heads.map((head) => [head.textContent.trim(), `${head.dataset.key}.${head.dataset.first || "ascending"}`]);
  sieve.append(offer("sort", "Sort by", [["as ranked", ""], ...sorts]));
  selects.sort.parentElement.className = "sorts";
  for (const head of heads) {
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      change("sort", `${head.dataset.key}.${head.getAttribute("aria-sort") === first ? other : first}`);
    });
  }

  const more = make("p", { class: "controls" }, make("button", { type: "button" }, "Show all rows"));
  more.firstChild.addEventListener("click", () => grow(Infinity));
  table.closest(".wide").after(more);
  new IntersectionObserver((seen) => {
    if (seen.some((item) => item.isIntersecting) && !more.hidden) grow(PART);
  }).observe(more);
  window.addEventListener("beforeprint", () => grow(Infinity));

  for (const element of document.querySelectorAll("[data-scripted]")) element.hidden = false;
  for (const element of document.querySelectorAll("[data-plain]")) element.hidden = true;

  Object.assign(window.e2r, {
    data,
    groups,
    rows,
    table,
    heads,
    collection,
    placed,
    lines,
    state,
    chosen,
    figures,
    passes,
    change,
    listen(listener) {
      listeners.push(listener);
      listener();
    },
    load(name) {
      return new Promise((resolve, reject) => {
        const script = make("script", { src: name });
        script.addEventListener("load", resolve);
        script.addEventListener("error", () => reject(new Error(`${name} cannot be loaded`)));
        document.head.append(script);
      });
    },
  });
  window.addEventListener("hashchange", recall);
  recall();
})();
