// Price lists, bills, and buying against hosting: what `--price` and `--versus` say, digit by digit.
"use strict";
(function () {
  // Decimals as Python reckons them: 28 digits, halves to the even one. {c, e} is c times 10 to e.
  const PRECISION = 28;
  const ten = (power) => 10n ** BigInt(power);
  const size = (whole) => (whole < 0n ? -whole : whole);

  // c over 10 to `over`, to the nearest whole number.
  function cut(c, over) {
    const unit = ten(over);
    const [whole, rest] = [size(c) / unit, size(c) % unit];
    const up = 2n * rest > unit || (2n * rest === unit && whole % 2n === 1n);
    return (c < 0n ? -1n : 1n) * (whole + (up ? 1n : 0n));
  }

  function made(c, e) {
    const over = String(size(c)).length - PRECISION;
    return over > 0 ? { c: cut(c, over), e: e + over } : { c, e };
  }

  const NUMBER = /^([+-]?)(\d+\.?\d*|\.\d+)(?:e([+-]?\d{1,3}))?$/i;
  function parsed(text) {
    const found = NUMBER.exec(text);
    if (!found || text.length > 40) return null;
    const [whole, rest = ""] = found[2].split(".");
    return { c: BigInt(`${found[1] === "-" ? "-" : ""}${whole}${rest}`), e: Number(found[3] || 0) - rest.length };
  }

  const of = (number) => (typeof number === "object" ? number : parsed(String(number)));
  function aligned(a, b) {
    const e = Math.min(a.e, b.e);
    return [a.c * ten(a.e - e), b.c * ten(b.e - e), e];
  }
  function plus(a, b) {
    const [x, y, e] = aligned(of(a), of(b));
    return made(x + y, e);
  }
  function minus(a, b) {
    const [x, y, e] = aligned(of(a), of(b));
    return made(x - y, e);
  }
  function times(a, b) {
    const [x, y] = [of(a), of(b)];
    return made(x.c * y.c, x.e + y.e);
  }
  function over(a, b) {
    const [x, y] = [of(a), of(b)];
    const more = Math.max(0, PRECISION + 2 + String(size(y.c)).length - String(size(x.c)).length);
    const above = x.c * ten(more);
    // What is left over is kept as a last digit, so that no half is taken for an even one.
    const rest = above % y.c === 0n ? 0n : 1n;
    return made((above / y.c) * 10n + rest, x.e - y.e - more - 1);
  }
  function compare(a, b) {
    const [x, y] = aligned(of(a), of(b));
    return x < y ? -1 : Number(x > y);
  }
  function ceiling({ c, e }) {
    if (e >= 0) return c * ten(e);
    return c / ten(-e) + (c % ten(-e) > 0n ? 1n : 0n);
  }
  const number = ({ c, e }) => Number(`${c}e${e}`);

  // As Python writes a price: without an exponent where that is short.
  function written({ c, e }) {
    const digits = String(c);
    const split = (text, places) => (places ? `${text.slice(0, -places)}.${text.slice(-places)}` : text);
    const plain = e > 0 ? (c ? digits + "0".repeat(e) : "0") : split(digits.padStart(1 - e, "0"), -e);
    const above = digits.length - 1 + e;
    if (plain.length <= 20 || (e <= 0 && above >= -6)) return plain;
    return `${split(digits, digits.length - 1)}E${above < 0 ? "" : "+"}${above}`;
  }

  // With so many places and commas, as Python's `:,.6f`; "<0.0001" of what is more than nothing.
  function fixed({ c, e }, places) {
    const whole = e + places >= 0 ? c * ten(e + places) : cut(c, -e - places);
    if (c && !whole) return `<${fixed({ c: 1n, e: -places }, places)}`;
    const digits = String(size(whole)).padStart(places + 1, "0");
    const head = digits.slice(0, digits.length - places).replace(/\B(?=(\d{3})+$)/g, ",");
    return `${whole < 0n ? "-" : ""}${head}${places ? `.${digits.slice(-places)}` : ""}`;
  }

  // ---- price lists ----

  // The list that a word means, {word, kind, prices, counts, currency}. What is wrong is thrown.
  function list(rules, word) {
    if (word.startsWith("genai:") || /\.toml(:|$)/.test(word)) {
      throw new Error(`this page reads neither files nor libraries; type the prices: ${rules.examples}`);
    }
    const given = new Map();
    for (const part of word.split(",")) {
      const [head, ...rest] = part.trim().split("=");
      const name = head.trim().replaceAll("-", "_");
      if (!rest.length || ![...rules.prices, ...rules.counts, "currency"].includes(name)) {
        throw new Error(`'${part.trim()}' has no unit; write ${rules.examples}`);
      }
      if (given.has(name)) throw new Error(`${name} is there twice`);
      given.set(name, rest.join("=").trim());
    }
    const currency = given.get("currency") ?? rules.currency;
    given.delete("currency");
    if (!/^[\p{L}\p{N}_]{1,12}$/u.test(currency)) throw new Error(`'${currency}' names no currency; write a word`);
    const [prices, counts] = [{}, {}];
    for (const [name, text] of given) {
      if (rules.prices.includes(name)) prices[name] = price(rules, name, text);
      else counts[name] = count(name, text);
    }
    const kinds = Object.keys(rules.kinds).filter((name) => Object.hasOwn(prices, name));
    if (kinds.length !== 1) {
      throw new Error(`holds ${kinds.join(" and ") || "no price with a unit"}; give one of ${rules.examples}`);
    }
    const [kind] = kinds;
    const stray = [...given.keys()].filter((name) => !rules.kinds[kind].includes(name)).sort();
    if (stray.length) throw new Error(`${stray[0]} does not go with ${kind}=`);
    if (kind === "in") {
      if (!prices.out) throw new Error("the price of generated tokens is missing; add out=… (0 if free)");
      prices.cached ??= prices.in;
    }
    return { word, kind, prices, counts, currency };
  }

  function price(rules, name, text) {
    const found = parsed(text);
    if (!found) throw new Error(`${name} is '${text.slice(0, 40)}'; give a number`);
    if (text.startsWith("-") || compare(found, rules.most) > 0) {
      throw new Error(`${name} is ${text}; a price is 0 to ${rules.most.toLocaleString("en")}`);
    }
    return found;
  }

  function count(name, text) {
    if (!/^[0-9]{1,9}$/.test(text) || Number(text) < 1) {
      throw new Error(`${name} is '${text.slice(0, 40)}'; give a whole number above 0`);
    }
    return Number(text);
  }

  function told({ word, kind, prices, counts, currency }) {
    const text = (name) => written(prices[name]);
    const said = {
      in: () => `${text("in")} in, ${text("cached")} cached, ${text("out")} out a million tokens${prices.call && prices.call.c ? `, ${text("call")} a call` : ""}`,
      search: () => `${text("search")} a thousand searches` +
        (counts.documents ? `, a search is up to ${counts.documents} documents` : "") +
        (counts.document_tokens ? `, query and document of more than ${counts.document_tokens} tokens count as more` : ""),
      hour: () => `${text("hour")} an hour of an accelerator`,
    };
    return `${word}: ${currency} ${said[kind]()}`;
  }

  function oneCurrency(lists) {
    const found = [...new Set(lists.map((each) => each.currency))].sort();
    if (found.length > 1) {
      throw new Error(
        `prices in ${found.join(" and ")} cannot be compared: nothing here knows what one is ` +
        "worth in the other; give all lists in one currency",
      );
    }
  }

  // The model, where one is named, and the list of `[MODEL@]LIST`.
  function offered(word) {
    const at = word.indexOf("@");
    const model = word.slice(0, Math.max(at, 0));
    return at < 0 || /[=:]/.test(model) ? [null, word] : [model, word.slice(at + 1)];
  }

  // ---- bills ----

  // A query's money by part: its calls by the token, or a search of the candidates, or seconds.
  function bill(prices, found, setting) {
    const { kind } = prices;
    const nothing = of(0);
    const paid = { input: nothing, cached: nothing, output: nothing, other: nothing };
    if (kind === "search") {
      const { documents, document_tokens: most } = prices.counts;
      const length = setting.query_tokens + setting.passage_tokens;
      const pieces = setting.depth * (most ? Math.max(Math.ceil(length / most), 1) : 1);
      const searches = documents ? Math.max(Math.ceil(pieces / documents), 1) : 1;
      paid.other = over(times(prices.prices.search, searches), 1000);
    } else if (kind === "hour") {
      paid.other = times(prices.prices.hour, over(of(found.expected.seconds), 3600));
    } else {
      const { in: input, cached, out, call } = prices.prices;
      for (const each of found.kinds) {
        const million = (tokens, rate) => times(over(times(of(tokens), rate), 1_000_000), each.calls);
        paid.input = plus(paid.input, million(each.prompt - each.cached, input));
        paid.cached = plus(paid.cached, million(each.cached, cached));
        paid.output = plus(paid.output, million(each.generated, out));
        paid.other = plus(paid.other, times(call ?? 0, each.calls));
      }
    }
    return paid;
  }

  const total = (paid) => Object.values(paid).reduce(plus);

  // Money a thousand queries by part, and all of it.
  function thousand(prices, found, setting) {
    const paid = bill(prices, found, setting);
    const parts = Object.fromEntries(Object.entries(paid).map(([name, amount]) => [name, times(amount, 1000)]));
    return { ...parts, total: total(parts) };
  }

  // ---- buying against hosting ----

  // An offer against accelerators of one's own, as `e2r capacity --versus` holds it.
  function versus(rules, offer, hour, found, setting) {
    if (offer.kind === "hour") throw new Error(`${offer.word}: ${rules.by_the_hour}`);
    const bought = total(bill(offer, found, setting));
    if (!bought.c) throw new Error(`${offer.word}: asks nothing for a query; nothing is cheaper`);
    const held = { offer, bought, hour: of(Number(hour)), seconds: of(found.expected.seconds) };
    held.full = over(times(held.seconds, held.hour), 3600);
    held.accelerators = (qps) => {
      const needed = ceiling(times(of(qps), held.seconds));
      return needed > 1n ? needed : 1n;
    };
    held.ownMonth = (qps) => times(times(of(held.accelerators(qps)), held.hour), rules.hours_a_month);
    held.boughtMonth = (qps) => times(times(of(qps), rules.hours_a_month * 3600), bought);
    held.first = compare(bought, held.full) <= 0 ? null : over(over(held.hour, 3600), bought);
    held.always = null;
    if (held.first) {
      const steps = ceiling(over(bought, minus(bought, held.full))) - 1n;
      held.always = times(held.first, of(steps > 1n ? steps : 1n));
    }
    return held;
  }

  // Both qualities, of the first collection of the board that has them; null where none has.
  function both(board, setting, model) {
    const measure = board.measures.indexOf("nDCG@10");
    const own = setting.model.split("/").pop();
    for (const group of board.groups) {
      if (group.published) continue;
      const rows = board.rows.filter((row) => row.group === group.id && row.family !== "first_stage" && row.quality[measure]);
      const best = (chosen) => Math.max(...chosen.map((row) => row.quality[measure][0]));
      const mine = rows.filter((row) => row.label === own && row.method === setting.method && row.depth === setting.depth);
      const theirs = rows.filter((row) => row.label === model);
      if (mine.length && theirs.length) return { dataset: group.dataset, own: best(mine), offered: best(theirs) };
    }
    return null;
  }

  // What the command says of an offer, as [label, text] lines.
  function lines(rules, held, qps, device, known = null) {
    const { short } = window.e2r;
    const name = held.offer.currency;
    const traffic = (at) =>
      `${short(number(at))} a second, ${fixed(times(at, rules.hours_a_month * 3600), 0)} a month, ` +
      `${held.accelerators(at).toLocaleString("en")} ${device}`;
    const [own, bought] = [held.ownMonth(qps), held.boughtMonth(qps)];
    const found = [
      ["a thousand queries bought", `${name} ${fixed(times(held.bought, 1000), 4)}`],
      ["own, never idle", `${name} ${fixed(times(held.full, 1000), 4)}`],
      [`a month at ${qps} a second, bought`, `${name} ${fixed(bought, 2)}`],
      [`own, ${held.accelerators(qps).toLocaleString("en")} ${device}`, `${name} ${fixed(own, 2)}`],
    ];
    if (known) {
      found.push([`nDCG@10 on ${known.dataset}`, `${known.own.toFixed(4)} own, ${known.offered.toFixed(4)} bought`]);
      const more = minus(of(known.own), of(known.offered));
      const dearer = minus(own, bought);
      if (more.c && dearer.c && more.c > 0n === dearer.c > 0n) {
        const point = over(over({ ...dearer, c: size(dearer.c) }, { ...more, c: size(more.c) }), 100);
        found.push(["a point (0.01) more, a month", `${name} ${fixed(point, 2)}`]);
      } else if (more.c && dearer.c) found.push(["a point more", "the better one is the cheaper one"]);
    }
    if (!held.first) return [...found, ["at any traffic", "buy"]];
    found.push(["own is cheaper from", traffic(held.first)]);
    if (compare(held.always, held.first) > 0) found.push(["and at any traffic from", traffic(held.always)]);
    return [...found, ["at this traffic", compare(own, bought) < 0 ? "host" : "buy"]];
  }

  window.e2rMoney = { list, told, oneCurrency, offered, thousand, versus, both, lines, fixed, number };
})();
