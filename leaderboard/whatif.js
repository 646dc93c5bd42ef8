// The what-if page: controls in, figures out; the view is kept in the address.
"use strict";
(function () {
  const data = window.e2rWhatIf;
  const { price, calls } = window.e2rPrice;
  const money = window.e2rMoney;
  const byId = (id) => document.getElementById(id);
  const AXES = Object.keys(data.calls.grid);
  // Every number that can be typed, with the range that the page's own controls state.
  const LENGTHS = {};
  for (const range of document.querySelectorAll("#desk input[type=range]")) {
    if (byId(`${range.id}-exact`)) LENGTHS[range.id] = [Number(range.min), Number(range.max), range.step === "1"];
  }
  const SEARCHED = { documents: 1, posting_share: 0.01, overlap: 1, visited: 1, document_tokens: 1 };
  const WORDS = ["price", "versus"];
  const PASTED = "pasted";
  const FORMAT = data.coefficients.format;
  const models = new Map(data.coefficients.models.map((model) => [model.name, model]));
  const setting = { ...data.start };
  let own = null;
  let spoken = 0;
  const timings = [];

  // ---- figures in words ----

  function short(value, digits = 4) {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
      return value.toExponential(digits - 1).replace("-", "−");
    }
    return value.toLocaleString("en", { maximumSignificantDigits: digits });
  }

  function duration(seconds) {
    if (seconds >= 1) return `${short(seconds, 3)} s`;
    if (seconds >= 1e-3) return `${short(seconds * 1e3, 3)} ms`;
    return `${short(seconds * 1e6, 3)} µs`;
  }

  function gigabytes(bytes) {
    return `${short(Number(bytes) / 1e9, 3)} GB`;
  }

  function quoted(word) {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  }

  // ---- the model ----

  function chosen() {
    return setting.model === PASTED && own
      ? { model: own.models[0], units: own.units }
      : { model: models.get(setting.model), units: data.coefficients.units };
  }

  function refusals() {
    const { model } = chosen();
    const counts = data.counts[`${model.mode}/${model.task}`] || {};
    return (method) => (counts[method] ? counts[method].refused : "nothing is known");
  }

  function suited() {
    return data.made_for.lists[data.made_for.models[setting.model] ?? 0];
  }

  function paste() {
    const said = byId("pasted-said");
    try {
      const given = JSON.parse(byId("pasted").value);
      if (given && given.model_type) {
        throw new Error("this is a config.json: run e2r estimate on it with --export, and paste what that prints");
      }
      if (!given || given.format !== FORMAT || !Array.isArray(given.models) || !given.models.length) {
        throw new Error(`this is not what e2r estimate MODEL --export prints (format ${FORMAT})`);
      }
      const [model] = given.models;
      const kept = own;
      own = { units: given.units, models: [{ ...model, name: String(model.name) }] };
      const method = data.made_for.lists[0].concat(Object.keys(data.calls.methods)).find(
        (name) => !price(data, own.models[0], own.units, { ...setting, method: name, convention: "ideal" }).refused,
      );
      if (!method) {
        own = kept;
        throw new Error("no method can be asked of this model");
      }
      setting.model = PASTED;
      said.textContent = `Using ${own.models[0].name}.`;
      fill();
      update();
    } catch (error) {
      said.textContent = `Not used: ${error.message}.`;
    }
  }

  // ---- controls ----

  function options(select, groups, value) {
    select.replaceChildren();
    for (const [title, entries] of groups) {
      const parent = title ? select.appendChild(document.createElement("optgroup")) : select;
      if (title) parent.label = title;
      for (const [name, text, disabled] of entries) {
        const option = new Option(text, name);
        option.disabled = Boolean(disabled);
        parent.append(option);
      }
    }
    select.value = value;
  }

  function grouped(names, group, text) {
    const found = new Map();
    for (const name of names) {
      const title = group(name);
      if (!found.has(title)) found.set(title, []);
      found.get(title).push(text(name));
    }
    return [...found].sort((a, b) => a[0].localeCompare(b[0], "en"));
  }

  // Puts the setting into the controls, after mending what does not go together.
  function fill() {
    const refused = refusals();
    const suits = new Set(suited());
    if (refused(setting.method)) {
      const all = [...suits, ...Object.keys(data.calls.methods)];
      setting.method = all.find((name) => !refused(name)) || setting.method;
    }
    const { model } = chosen();
    if (!model.flops[setting.convention]) setting.convention = Object.keys(model.flops)[0];
    const places = data.calls.grid.pivot;
    if ("pivot" in data.calls.methods[setting.method].defaults && !calls(data, setting)) {
      setting.pivot = places[0];
    }
    while (!calls(data, setting) && setting.step > data.calls.grid.step[0]) {
      const steps = data.calls.grid.step;
      setting.step = steps[steps.indexOf(setting.step) - 1];
    }

    const catalogue = grouped(
      [...models.keys()],
      (name) => name.split("/")[0],
      (name) => [name, name.split("/").slice(1).join("/") || name],
    );
    if (own) catalogue.unshift(["Yours", [[PASTED, own.models[0].name]]]);
    options(byId("model"), catalogue, setting.model);
    const methods = Object.keys(data.calls.methods);
    const line = (name) => [name, refused(name) ? `${name}: ${refused(name)}` : name, refused(name)];
    options(byId("method"), [
      ["Made for this model", methods.filter((name) => suits.has(name) && !refused(name)).map(line)],
      ["Need a model trained for them", methods.filter((name) => !suits.has(name) && !refused(name)).map(line)],
      ["Not possible with this model", methods.filter(refused).map(line)],
    ].filter(([, entries]) => entries.length), setting.method);
    options(byId("convention"), [["", Object.keys(data.conventions).map(
      (name) => [name, name, !model.flops[name]],
    )]], setting.convention);
    byId("convention-said").textContent = data.conventions[setting.convention];
    options(byId("on"), [["", Object.keys(data.accelerators).map((name) => [name, name])]], setting.on);

    const axes = data.calls.tables[data.calls.methods[setting.method].table].axes;
    for (const axis of AXES) {
      const range = byId(axis);
      range.closest(".knob").hidden = !axes.includes(axis);
      range.value = data.calls.grid[axis].indexOf(setting[axis]);
      range.setAttribute("aria-valuetext", String(setting[axis]));
      byId(`${axis}-shown`).value = setting[axis];
    }
    for (const name of Object.keys(LENGTHS)) {
      byId(name).value = setting[name];
      if (document.activeElement !== byId(`${name}-exact`)) byId(`${name}-exact`).value = setting[name];
    }
    for (const name of WORDS) {
      if (document.activeElement !== byId(name)) byId(name).value = setting[name];
    }
    const hourly = listed(() => {})?.kind === "hour";
    byId("price_per_hour").closest(".knob").hidden = hourly;
    byId("answer_tokens").closest(".knob").hidden = !data.thinks.includes(setting.method);
    byId("first_stage").value = setting.first_stage;
    const searched = data.first_stages[setting.first_stage];
    for (const name of Object.keys(SEARCHED)) {
      byId(name).closest(".knob").hidden = !searched || !searched.wants.includes(name);
    }
  }

  // What was typed as the price list, null for nothing and for what is none; `say` is told why.
  function listed(say) {
    const word = setting.price.trim();
    try {
      return word ? money.list(data.money, word) : null;
    } catch (error) {
      say(`${word}: ${error.message}`);
      return null;
    }
  }

  function listen() {
    for (const name of ["model", "method", "convention", "on", "first_stage"]) {
      byId(name).addEventListener("change", (event) => change(name, event.target.value));
    }
    for (const axis of AXES) {
      byId(axis).addEventListener("input", (event) => change(axis, data.calls.grid[axis][event.target.value]));
    }
    for (const [name, [low, high, whole]] of Object.entries(LENGTHS)) {
      byId(name).addEventListener("input", (event) => change(name, Number(event.target.value)));
      byId(`${name}-exact`).addEventListener("input", (event) => {
        const value = event.target.valueAsNumber;
        if ((whole ? Number.isInteger(value) : Number.isFinite(value)) && value >= low && value <= high) change(name, value);
      });
      byId(`${name}-exact`).addEventListener("change", (event) => {
        event.target.value = setting[name];
      });
    }
    for (const name of WORDS) {
      byId(name).addEventListener("input", (event) => change(name, event.target.value));
    }
    byId("use-pasted").addEventListener("click", paste);
    for (const name of ["group", "measure"]) {
      byId(name).addEventListener("change", (event) => {
        setting[name] = event.target.value;
        board();
        update();
      });
    }
    window.addEventListener("hashchange", () => {
      recall();
      board();
      fill();
      update();
    });
  }

  function change(name, value) {
    const before = performance.now();
    const { convention } = setting;
    setting[name] = value;
    if (name === "method") Object.assign(setting, data.calls.methods[value].defaults);
    fill();
    if (setting.convention !== convention) board();
    update();
    timings.push(performance.now() - before);
  }

  // ---- the address ----

  function remember() {
    const state = new URLSearchParams();
    for (const [name, value] of Object.entries(setting)) {
      if (String(value) !== String(data.start[name] ?? "") && value !== PASTED) state.set(name, value);
    }
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    Object.assign(setting, data.start);
    const allowed = {
      model: (name) => models.has(name),
      method: (name) => Object.hasOwn(data.calls.methods, name),
      convention: (name) => Object.hasOwn(data.conventions, name),
      on: (name) => Object.hasOwn(data.accelerators, name),
      first_stage: (name) => name === "none" || Object.hasOwn(data.first_stages, name),
      price: (word) => word.length <= byId("price").maxLength,
      versus: (word) => word.length <= byId("versus").maxLength,
      group: (id) => window.e2rBoard.groups.some((group) => group.id === id),
      measure: (name) => window.e2rBoard.measures.includes(name),
    };
    for (const [name, value] of state) {
      if (Object.hasOwn(allowed, name)) {
        if (allowed[name](value)) setting[name] = value;
      } else if (AXES.includes(name)) {
        if (data.calls.grid[name].includes(Number(value))) setting[name] = Number(value);
      } else if (Object.hasOwn(LENGTHS, name)) {
        const [low, high, whole] = LENGTHS[name];
        const number = Number(value);
        if ((whole ? Number.isInteger(number) : Number.isFinite(number)) && number >= low && number <= high) setting[name] = number;
      }
    }
  }

  // ---- the answer ----

  function command(word, held = []) {
    const { model } = chosen();
    const axes = data.calls.tables[data.calls.methods[setting.method].table].axes;
    const words = [`e2r ${word}`, quoted(model.name), "--method", setting.method];
    for (const axis of AXES) if (axes.includes(axis)) words.push(`--${axis.replaceAll("_", "-")}`, setting[axis]);
    words.push("--query-tokens", setting.query_tokens, "--passage-tokens", setting.passage_tokens);
    if (data.thinks.includes(setting.method)) words.push("--answer-tokens", setting.answer_tokens);
    if (word === "estimate") words.push("--convention", setting.convention);
    else words.push("--qps", setting.qps);
    words.push("--on", setting.on, "--utilization", setting.utilization / 100);
    const prices = listed(() => {});
    for (const name of ["concurrency", "batch_size", "weight_bits", "price_per_hour"]) {
      if (name === "price_per_hour" && prices && prices.kind === "hour") continue;
      words.push(`--${name.replaceAll("_", "-")}`, setting[name]);
    }
    const searched = data.first_stages[setting.first_stage];
    if (searched) {
      words.push("--first-stage", setting.first_stage);
      for (const [name, unit] of Object.entries(SEARCHED)) {
        if (searched.wants.includes(name)) words.push(`--${name.replaceAll("_", "-")}`, setting[name] * unit);
      }
    }
    if (prices) words.push("--price", quoted(setting.price.trim()));
    if (word === "capacity") for (const offer of held) words.push("--versus", quoted(offer));
    return words.join(" ");
  }

  function put(id, value, note = "") {
    const place = byId(id);
    place.firstElementChild.textContent = value;
    place.lastElementChild.textContent = note;
  }

  // What is wrong with the words, beside them.
  function hear(said) {
    for (const name of WORDS) {
      if (byId(`${name}-said`).textContent !== said[name]) byId(`${name}-said`).textContent = said[name];
      byId(name).setAttribute("aria-invalid", String(Boolean(said[name])));
    }
  }

  function update() {
    const { model, units } = chosen();
    const said = { price: "", versus: "" };
    const prices = listed((text) => (said.price = text));
    // A list by the hour says what the slider would.
    const hour = prices && prices.kind === "hour" ? money.number(prices.prices.hour) : setting.price_per_hour;
    const asked = { ...setting, price_per_hour: hour };
    const found = price(data, model, units, asked);
    byId("refusal").hidden = !found.refused;
    byId("figures").hidden = Boolean(found.refused);
    byId("command").textContent = command("estimate");
    byId("capacity").textContent = command("capacity");
    remember();
    if (found.refused) {
      byId("refusal").textContent = `${setting.method} on ${model.name}: ${found.refused}.`;
      place(null);
      hear(said);
      byId("offers").replaceChildren();
      byId("month").hidden = true;
      return;
    }
    const device = data.accelerators[setting.on];
    put("f-petaflops", short(found.petaflops), `${found.flops.toLocaleString("en")} FLOPs`);
    put("f-qpp", short(found.qpp), "for a PetaFLOP");
    put("f-calls", short(found.calls), "prompts sent to the model");
    put("f-rounds", short(found.rounds), "calls that wait for one another");
    put("f-prompt", short(found.prompt_tokens), `${short(found.prompt_tokens / found.calls)} a call`);
    put("f-generated", short(found.generated_tokens), `${short(found.generated_tokens / found.calls)} a call`);
    const { floor, expected } = found;
    put("f-seconds", duration(floor.latency), `on ${setting.on}; no run is faster`);
    put("f-expected", duration(expected.latency), `at ${setting.utilization} % of its peaks`);
    put("f-needed", Math.ceil(expected.accelerators).toLocaleString("en"), `at least ${Math.ceil(floor.accelerators).toLocaleString("en")}, for ${short(setting.qps)} a second`);
    put("f-joules", device.watts === null ? "–" : short(expected.joules, 3), device.watts === null ? "its watts are not published" : `at board power, ${device.watts} W`);
    put("f-money", short(expected.price_per_million, 4), `at ${hour} an hour; floor ${short(floor.price_per_million, 4)}`);
    const paid = prices && money.thousand(prices, found, asked);
    const split = paid && Object.entries(paid).filter(([name, amount]) => name !== "total" && amount.c > 0n);
    put("f-bill", paid ? money.fixed(paid.total, 6) : "–", paid
      ? `${prices.currency}: ${split.map(([name, amount]) => `${name} ${money.fixed(amount, 6)}`).join(", ") || "free"}`
      : said.price ? "the price list cannot be read" : "no price list is given");
    try {
      const held = window.e2rHosting.show(data.money, setting.versus, prices, found, asked, byId("offers"), byId("month"));
      byId("capacity").textContent = command("capacity", held);
    } catch (error) {
      said.versus = error.message;
      byId("offers").replaceChildren();
      byId("month").hidden = true;
    }
    hear(said);
    const fits = found.held <= device.memory;
    put("f-memory", gigabytes(found.held), fits ? `fits into ${setting.on}` : `more than ${setting.on} has: ${Math.ceil(found.held / device.memory)} hold it`);
    put("f-first", setting.first_stage === "none" ? "–" : short(found.first.flops), setting.first_stage === "none" ? "not priced" : `${short((100 * found.first.flops) / (found.first.flops + Number(found.flops)), 3)} % of the pipeline`);
    const beyond = model.context !== null && found.longest > BigInt(model.context);
    byId("beyond").hidden = !beyond;
    if (beyond) {
      byId("beyond").textContent =
        `${found.longest.toLocaleString("en")} tokens exceed the ${model.context.toLocaleString("en")} that ` +
        `${model.name} was made for; the figures are what they would cost.`;
    }
    const brief = `${short(found.petaflops)} PFLOPs · ${short(found.calls)} calls · ${duration(expected.latency)}` +
      (paid ? ` · ${prices.currency} ${money.fixed(paid.total, 2)} a thousand` : "");
    byId("brief").textContent = brief;
    place(found.petaflops);
    clearTimeout(spoken);
    spoken = setTimeout(() => {
      byId("heard").textContent = `${model.name}, ${setting.method}: ${brief.replaceAll(" · ", ", ")} per query.`;
    }, 700);
  }

  // ---- the board's rows ----

  let shown = [];
  const drawing = window.e2rChart(byId("chart"));

  function title(group) {
    return `${group.dataset}, ${group.first_stage} top ${group.depth}${group.published ? ", published" : ""}`;
  }

  function board() {
    const groups = window.e2rBoard.groups;
    options(byId("group"), [["", groups.map((group) => [group.id, title(group)])]], setting.group);
    options(byId("measure"), [["", window.e2rBoard.measures.map((name) => [name, name])]], setting.measure);
    byId("measure").closest("label").hidden = window.e2rBoard.measures.length < 2;
    const group = groups.find((each) => each.id === setting.group);
    const place = window.e2rBoard.measures.indexOf(setting.measure);
    const convention = group && group.convention ? group.convention : setting.convention;
    shown = [];
    for (const row of window.e2rBoard.rows) {
      const cost = row.costs[convention];
      const quality = row.quality[place];
      if (row.group !== setting.group || !cost || !cost.petaflops || !(cost.petaflops[0] > 0) || !quality) continue;
      shown.push({
        name: `${row.label}, ${row.method}: ${setting.measure} ${quality[0].toFixed(4)}, ${short(cost.petaflops[0])} PFLOPs`,
        label: row.label,
        method: row.method,
        page: row.page,
        cost: cost.petaflops[0],
        quality: quality[0],
        frontier: Boolean(cost.frontier[place]),
      });
    }
    shown.sort((a, b) => a.cost - b.cost);
    byId("priced").textContent = convention === setting.convention
      ? "" : `These rows are priced by the convention ${convention}, as they were published.`;
    drawing.draw(
      shown,
      setting.measure,
      `${setting.measure} against PFLOPs per query: ${shown.length} rows of the board and the cost of this setting; the table below names the nearest`,
    );
  }

  function place(cost) {
    drawing.mark(cost);
    const body = byId("near").tBodies[0];
    body.replaceChildren();
    byId("near").hidden = !shown.length || cost === null;
    if (cost === null) return;
    if (!shown.length) {
      byId("where").textContent = "No row of the board has a cost here.";
      return;
    }
    const cheaper = shown.filter((row) => row.cost <= cost);
    const best = cheaper.reduce((a, b) => (a === null || b.quality > a.quality ? b : a), null);
    byId("where").textContent =
      `At this cost the setting is dearer than ${cheaper.length} of ${shown.length} rows. ` +
      (best
        ? `The best of them, ${best.label} with ${best.method}, reaches ${setting.measure} ${best.quality.toFixed(4)} ` +
          `for ${short(best.cost)} PFLOPs: what costs more should be better.`
        : "None of them is as cheap.");
    const lines = shown.map((row) => [Math.abs(Math.log(row.cost / cost)), row]);
    const near = lines.sort((a, b) => a[0] - b[0]).slice(0, 6).map((line) => line[1]);
    for (const row of near.sort((a, b) => a.cost - b.cost)) {
      const line = body.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      const link = document.createElement("a");
      link.href = row.page;
      link.textContent = row.label;
      head.append(link);
      line.append(head);
      const texts = [row.method, row.quality.toFixed(4), short(row.cost), `× ${short(row.cost / cost, 3)}`];
      texts.forEach((text, column) => {
        const cell = line.insertCell();
        cell.textContent = text;
        if (column) cell.className = "n";
      });
    }
  }

  recall();
  listen();
  fill();
  board();
  update();
  byId("desk").hidden = false;
  window.e2rTimings = timings;
})();
