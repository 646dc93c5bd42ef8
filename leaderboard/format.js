// Figures as text, with the same digits as the pages that Python writes.
"use strict";
(function () {
  const UNDEFINED = "–";

  function grouped(text) {
    const [whole, rest] = text.split(".");
    const commas = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
    return rest === undefined ? commas : `${commas}.${rest}`;
  }

  function exponent(value, digits) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    return { mantissa, power: Number(power) };
  }

  // So many significant digits, whole numbers as they are, an exponent only for the extremes.
  function short(value, digits = 4) {
    if (value === null || value === undefined) return UNDEFINED;
    const size = Math.abs(value);
    if (value === Math.round(value) && size < 1e7) return grouped(value.toFixed(0));
    const { mantissa, power } = exponent(value, digits);
    if (size >= 1e-4 && size < 1e7) return grouped(value.toFixed(Math.max(0, digits - 1 - power)));
    const sign = power < 0 ? "-" : "+";
    return `${mantissa}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }

  // A measure, whose scale is known.
  function fixed(value, digits = 4) {
    return value === null || value === undefined ? UNDEFINED : value.toFixed(digits);
  }

  // The ends of [value, low, high], or nothing.
  function ends(span, write) {
    if (!span || span.length < 3) return "";
    return `${write(span[1])}${span[1] < 0 ? " to " : "–"}${write(span[2])}`;
  }

  function p(value) {
    if (value === null || value === undefined) return UNDEFINED;
    return value < 0.0001 ? "< 0.0001" : value.toFixed(4);
  }

  // An element with attributes and children; text is only ever text.
  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  window.e2r = Object.assign(window.e2r || {}, { UNDEFINED, short, fixed, ends, p, make });
})();
