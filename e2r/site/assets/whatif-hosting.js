// Buy or host: each offer against one's own accelerators, in words and as a small picture.
"use strict";
(function () {
  const SVG = "http://www.w3.org/2000/svg";
  const { list, told, oneCurrency, offered, versus, both, lines, number } = window.e2rMoney;
  const { make, short } = window.e2r;
  const NARROWEST = 300;
  const HEIGHT = 300;
  const MARGIN = { top: 14, right: 16, bottom: 44, left: 74 };
  const POINTS = 300;
  const DASHES = ["", "7 4", "2 3", "9 3 2 3"];

  function element(name, attributes, text) {
    const found = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
    if (text !== undefined) found.textContent = text;
    return found;
  }

  // The offers of a word, separated by spaces, held against the setting. What is wrong is thrown.
  function offers(rules, word, prices, found, setting) {
    const words = word.split(/\s+/).filter(Boolean);
    const lists = words.map((each) => {
      try {
        return list(rules, offered(each)[1]);
      } catch (error) {
        throw new Error(`${each}: ${error.message}`);
      }
    });
    oneCurrency([...lists, ...(prices ? [prices] : [])]);
    const hour = prices && prices.kind === "hour" ? number(prices.prices.hour) : setting.price_per_hour;
    return lists.map((offer, place) => ({
      word: words[place],
      held: versus(rules, offer, hour, found, setting),
      known: offered(words[place])[0] === null ? null : both(window.e2rBoard, setting, offered(words[place])[0]),
    }));
  }

  function tell(rules, found, setting) {
    return found.flatMap(({ held, known }) => [
      make("h3", {}, `Versus ${told(held.offer)}`),
      make("dl", { class: "offer" }, ...lines(rules, held, setting.qps, setting.on, known).map(([label, text]) =>
        make("div", {}, make("dt", {}, label), make("dd", {}, text)))),
    ]);
  }

  function picture(rules, found, setting, room) {
    const width = Math.max(NARROWEST, Math.round(room));
    const qps = setting.qps;
    const marks = [qps, ...found.map(({ held }) => held.first && number(held.first)).filter(Boolean)];
    const [low, high] = [Math.min(...marks) / 5, Math.max(...marks) * 5];
    const traffic = Array.from({ length: POINTS }, (_, place) => low * (high / low) ** (place / (POINTS - 1)));
    const [first] = found;
    const own = traffic.map((at) => number(first.held.ownMonth(at)));
    const bought = found.map(({ held }) => traffic.map((at) => number(held.boughtMonth(at))));
    const costs = [...own, ...bought.flat()].filter((cost) => cost > 0);
    const [least, most] = [Math.min(...costs), Math.max(...costs)].map(Math.log10);
    const right = width - MARGIN.right;
    const bottom = HEIGHT - MARGIN.bottom;
    const x = (at) => MARGIN.left + ((right - MARGIN.left) * Math.log(at / low)) / Math.log(high / low);
    const y = (cost) => bottom - ((bottom - MARGIN.top) * (Math.log10(cost) - least)) / (most - least || 1);
    const svg = element("svg", { role: "img", viewBox: `0 0 ${width} ${HEIGHT}` });
    const crossings = found.map(({ held }) => held.first
      ? `hosting is cheaper than ${held.offer.word} from ${short(number(held.first))} queries a second`
      : `${held.offer.word} is cheaper at any traffic`);
    svg.append(element("title", {}, `Cost a month over traffic: ${crossings.join("; ")}`));
    const every = Math.max(1, Math.ceil(Math.log10(high / low) / (width / 80)));
    for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power += every) {
      const at = x(10 ** power);
      svg.append(
        element("line", { x1: at, x2: at, y1: MARGIN.top, y2: bottom, class: "grid" }),
        element("text", { x: at, y: bottom + 17, class: "tick middle" }, short(10 ** power)),
      );
    }
    for (let power = Math.ceil(least); power <= most; power += Math.max(1, Math.ceil((most - least) / 6))) {
      const at = y(10 ** power);
      svg.append(
        element("line", { x1: MARGIN.left, x2: right, y1: at, y2: at, class: "grid" }),
        element("text", { x: MARGIN.left - 8, y: at + 4, class: "tick end" }, short(10 ** power)),
      );
    }
    const line = (values) => values.map((cost, place) => (cost > 0 ? `${x(traffic[place])},${y(cost)}` : "")).filter(Boolean).join(" ");
    svg.append(element("polyline", { points: line(own), class: "own" }));
    bought.forEach((values, place) => {
      svg.append(element("polyline", { points: line(values), class: "bought", "stroke-dasharray": DASHES[place % DASHES.length] }));
    });
    svg.append(element("line", { x1: x(qps), x2: x(qps), y1: MARGIN.top, y2: bottom, class: "here" }));
    for (const { held } of found) {
      if (!held.first) continue;
      const at = number(held.first);
      const cost = number(held.ownMonth(held.first));
      if (!(cost > 0)) continue;
      const end = x(at) > width / 2;
      svg.append(
        element("circle", { cx: x(at), cy: y(cost), r: 5, class: "crossing" }),
        element("text", { x: x(at) + (end ? -9 : 9), y: y(cost) + 16, class: end ? "said end" : "said" }, `${short(at)} a second`),
      );
    }
    svg.append(
      element("text", { x: (MARGIN.left + right) / 2, y: HEIGHT - 6, class: "tick middle" }, "queries a second, logarithmic"),
      element("text", { x: 4, y: 12, class: "tick" }, `${first.held.offer.currency} a month`),
    );
    return svg;
  }

  // Shows the offers in `place`, and their picture in `figure`; returns the words that were held.
  function show(rules, word, prices, found, setting, place, figure) {
    const held = offers(rules, word, prices, found, setting);
    place.replaceChildren(...tell(rules, held, setting));
    figure.hidden = !held.length;
    draw(figure, held.length ? (room) => picture(rules, held, setting, room) : null);
    return held.map((each) => each.word);
  }

  // Letters keep their size: a figure whose room changes is drawn anew.
  const drawings = new WeakMap();
  let observer = null;

  function resized(entries) {
    for (const { target } of entries) {
      const { made, room } = drawings.get(target);
      if (room !== target.clientWidth) draw(target, made);
    }
  }

  function draw(figure, made) {
    drawings.set(figure, { made, room: figure.clientWidth });
    figure.querySelector("svg")?.remove();
    if (made) figure.prepend(made(figure.clientWidth));
    observer ??= new ResizeObserver(resized);
    observer.observe(figure);
  }

  window.e2rHosting = { show };
})();
