// The rows in view as a file, with the chosen measure and convention; works from a plain file too.
"use strict";
(function () {
  const { data, lines, chosen, passes, figures, groups, make } = window.e2r;

  function facts({ row }) {
    const seen = figures(row);
    const spans = { [chosen("measure")]: seen.quality, "PFLOPs/query": seen.petaflops, RPP: seen.rpp, QPP: seen.qpp };
    if (data.money) spans[data.money] = seen.money;
    const plain = {
      source: groups.get(row.group).published ? "published" : "run",
      run: row.place,
      dataset: row.dataset,
      depth: row.depth,
      model: row.label,
      parameters: row.parameters,
      method: row.method,
      template: row.template,
      rank: seen.rank,
      on_frontier: seen.frontier,
      convention: seen.convention,
    };
    for (const [name, span] of Object.entries(spans)) {
      plain[name] = span ? span[0] : null;
      plain[`${name} low`] = span && span.length === 3 ? span[1] : null;
      plain[`${name} high`] = span && span.length === 3 ? span[2] : null;
    }
    return { ...plain, calls_per_query: row.calls, rounds_per_query: row.rounds, parse_failures: row.failures };
  }

  // No cell of text is a spreadsheet's formula.
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value !== "string") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function asCsv(rows) {
    const names = Object.keys(rows[0] || {});
    const texts = rows.map((row) => names.map((name) => cell(row[name])).join(","));
    return [names.map(cell).join(","), ...texts, ""].join("\n");
  }

  function save(name, type, write) {
    const order = Array.from(document.getElementById("board").tBodies[0].rows);
    const byElement = new Map(lines.map((line) => [line.element, line]));
    const rows = order.map((element) => byElement.get(element)).filter((line) => passes(line.row)).map(facts);
    const address = URL.createObjectURL(new Blob([write(rows)], { type }));
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  const place = document.getElementById("downloads");
  const csv = make("button", { type: "button" }, "This view as CSV");
  const json = make("button", { type: "button" }, "This view as JSON");
  csv.addEventListener("click", () => save("view.csv", "text/csv", asCsv));
  json.addEventListener("click", () => save("view.json", "application/json", (rows) => JSON.stringify(rows, null, 1)));
  place.append(csv, json);
})();
