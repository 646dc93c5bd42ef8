// What a budget buys: the best row of each group that costs no more.
"use strict";
(function () {
  const { data, groups, rows, lines, state, chosen, figures, change, listen, short, fixed, make } = window.e2r;
  const field = document.getElementById("budget");
  const slider = document.getElementById("budget-slider");
  const found = document.getElementById("afforded").tBodies[0];

  const costs = data.rows.map((row) => figures(row).petaflops).filter((span) => span && span[0] > 0).map((span) => span[0]);
  const least = costs.length ? Math.log10(Math.min(...costs)) : -6;
  const most = costs.length ? Math.log10(Math.max(...costs)) : 0;
  slider.min = Math.floor(least * 20) / 20;
  slider.max = Math.ceil(most * 20) / 20;
  slider.step = 0.05;

  function budget() {
    const text = state.get("budget") || "";
    const value = Number(text);
    return text.trim() !== "" && Number.isFinite(value) && value >= 0 ? value : null;
  }

  function best(group, limit) {
    let chosenRow = null;
    for (const row of data.rows) {
      if (row.group !== group.id || row.state !== "ranked" || !e2r.passes(row)) continue;
      const seen = figures(row);
      if (!seen.quality || !seen.petaflops || (limit !== null && seen.petaflops[0] > limit)) continue;
      const better = !chosenRow || seen.quality[0] > chosenRow.seen.quality[0]
        || (seen.quality[0] === chosenRow.seen.quality[0] && seen.petaflops[0] < chosenRow.seen.petaflops[0]);
      if (better) chosenRow = { row, seen };
    }
    return chosenRow;
  }

  function line(group, limit) {
    const chosenRow = best(group, limit);
    const where = make("th", { scope: "row" }, group.dataset, " ",
      make("small", {}, `${group.published ? "published, " : ""}${group.first_stage}, top ${group.depth}${group.queries === null ? "" : `, ${group.queries} queries`}`));
    if (!chosenRow) {
      const none = best(group, null)
        ? `nothing with ${chosen("measure")} costs this little`
        : `no row has ${chosen("measure")}`;
      return [make("tr", {}, where, make("td", { colspan: 4 }, none)), null];
    }
    const { row, seen } = chosenRow;
    const interval = e2r.ends(seen.quality, (value) => fixed(value, 3));
    return [make("tr", {}, where,
      make("td", {}, make("a", { href: row.page }, row.label)),
      make("td", {}, make("code", {}, row.method)),
      make("td", { class: "n" }, fixed(seen.quality[0]), " ", make("small", {}, interval)),
      make("td", { class: "n" }, short(seen.petaflops[0]), " ", make("small", {}, `by ${seen.convention}`)),
    ), row.id];
  }

  function draw() {
    const limit = budget();
    if (document.activeElement !== field) field.value = limit === null ? "" : String(limit);
    slider.value = limit === null ? slider.max : limit > 0 ? Math.log10(limit) : slider.min;
    slider.setAttribute("aria-valuetext", limit === null ? "no limit" : `${short(limit)} PetaFLOPs per query`);
    const made = Array.from(groups.values())
      .filter((group) => data.rows.some((row) => row.group === group.id && e2r.passes(row)))
      .map((group) => line(group, limit));
    found.replaceChildren(...made.map(([element]) => element));
    const marked = new Set(limit === null ? [] : made.map(([, id]) => id));
    for (const each of lines) {
      each.element.classList.toggle("afforded", marked.has(each.row.id));
      const seen = limit === null ? null : figures(each.row).petaflops;
      each.element.classList.toggle("dear", Boolean(seen && seen[0] > limit));
    }
  }

  field.addEventListener("input", () => change("budget", field.value));
  function slide(dragged) {
    const top = Number(slider.value) >= Number(slider.max);
    change("budget", top ? null : String(Number((10 ** Number(slider.value)).toPrecision(2))), dragged);
  }
  slider.addEventListener("input", () => slide(true));
  slider.addEventListener("change", () => slide(false));
  listen(draw);
})();
