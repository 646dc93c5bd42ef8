// Which columns show, and heads that stay in view: all where they fit, a choice where they do not.
"use strict";
(function () {
  const { table, heads, state, change, listen, make } = window.e2r;
  const FIXED = ["label", "method", "quality", "dataset"];
  const SPARE = ["size", "qpp", "calls", "rounds", "failures"];
  const narrow = window.matchMedia("(max-width: 76rem)");
  const wide = table.closest(".wide");
  const bar = document.querySelector(".bar");
  const boxes = new Map();

  function hidden() {
    if (state.has("hide")) return state.get("hide").split(" ").filter((key) => boxes.has(key));
    return narrow.matches ? SPARE.filter((key) => boxes.has(key)) : [];
  }

  function toggle(key, on) {
    const others = hidden().filter((other) => other !== key);
    // An empty list is a choice too: a word that names no column keeps it in the address.
    change("hide", [...others, ...(on ? [] : [key])].join(" ") || "none");
  }

  const menu = make("details", { id: "columns" }, make("summary", {}, "Columns"));
  const list = make("div", { class: "menu" });
  for (const head of heads) {
    const key = head.dataset.key;
    if (FIXED.includes(key)) continue;
    const box = make("input", { type: "checkbox", name: `col-${key}` });
    box.addEventListener("change", () => toggle(key, box.checked));
    boxes.set(key, box);
    list.append(make("label", {}, box, ` ${head.textContent.trim()}`));
  }
  menu.append(list);
  document.getElementById("views").append(menu);

  function draw() {
    const off = hidden();
    for (const [key, box] of boxes) {
      box.checked = !off.includes(key);
      for (const each of document.querySelectorAll("#board, #apart")) each.classList.toggle(`no-${key}`, !box.checked);
    }
    fit();
  }

  // Heads stick below the bar where the whole table fits the page; else the table scrolls in a
  // frame of its own, and they stick to that.
  function fit() {
    wide.classList.remove("framed");
    wide.classList.toggle("framed", table.offsetWidth > wide.clientWidth + 1);
    const sticks = getComputedStyle(bar).position === "sticky";
    document.documentElement.style.setProperty("--bar", `${sticks ? bar.offsetHeight : 0}px`);
  }

  new ResizeObserver(fit).observe(bar);
  window.addEventListener("resize", fit);
  narrow.addEventListener("change", draw);
  listen(draw);
})();
