// Sorts and filters the board; the view is kept in the address, so that it can be linked.
"use strict";
(function () {
  const table = document.getElementById("board");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const controls = document.getElementById("controls");
  const shown = document.getElementById("shown");
  const filters = { dataset: "Dataset", family: "Family" };
  const selects = {};
  let sorted = null;

  function key(row, place, numeric) {
    const cell = row.cells[place];
    if (!numeric) return cell.textContent.trim();
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  }

  function compare(a, b) {
    return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  }

  function sort(place, direction) {
    const numeric = heads[place].dataset.kind === "number";
    const sign = direction === "descending" ? -1 : 1;
    const keyed = rows.map((row, index) => [key(row, place, numeric), index, row]);
    keyed.sort((x, y) => {
      if (x[0] === null || y[0] === null) return (x[0] === null) - (y[0] === null) || x[1] - y[1];
      return sign * compare(x[0], y[0]) || x[1] - y[1];
    });
    body.append(...keyed.map((item) => item[2]));
    heads.forEach((head, i) => {
      if (i === place) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    });
    sorted = [place, direction];
  }

  function filter() {
    let count = 0;
    for (const row of rows) {
      row.hidden = Object.keys(filters).some(
        (name) => selects[name].value && row.dataset[name] !== selects[name].value.slice(1),
      );
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} runs shown`;
  }

  function remember() {
    const state = new URLSearchParams();
    if (sorted) state.set("sort", sorted.join("."));
    for (const name of Object.keys(filters)) {
      if (selects[name].value) state.set(name, selects[name].value.slice(1));
    }
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    const [place, direction] = (state.get("sort") || "").split(".");
    if (heads[place] && ["ascending", "descending"].includes(direction)) sort(Number(place), direction);
    for (const name of Object.keys(filters)) {
      selects[name].value = state.has(name) ? `=${state.get(name)}` : "";
      if (selects[name].selectedIndex < 0) selects[name].value = "";
    }
    filter();
  }

  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sort(place, head.getAttribute("aria-sort") === first ? other : first);
      remember();
    });
  });

  for (const [name, title] of Object.entries(filters)) {
    const values = Array.from(new Set(rows.map((row) => row.dataset[name]))).sort();
    const label = document.createElement("label");
    const select = document.createElement("select");
    // Values carry a mark before them, so that a run's name can never be the empty choice.
    select.add(new Option("all", ""));
    for (const value of values) select.add(new Option(value, `=${value}`));
    select.addEventListener("change", () => {
      filter();
      remember();
    });
    label.append(title, select);
    controls.append(label);
    selects[name] = select;
  }
  controls.hidden = false;
  window.addEventListener("hashchange", recall);
  recall();
})();
