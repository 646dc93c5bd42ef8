// Prices a setting by evaluating what e2r exports. No formula of a cost stands in this file.
"use strict";
(function () {
  // Whole numbers are BigInts, so that no FLOP is lost; only the last figures leave the integers.
  const WHOLE = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "//": (a, b) => (a % b !== 0n && a < 0n !== b < 0n ? a / b - 1n : a / b),
    min: (a, b) => (a < b ? a : b),
    max: (a, b) => (a > b ? a : b),
  };
  const REAL = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "/": (a, b) => a / b,
    min: (a, b) => (a < b ? a : b),
    max: (a, b) => (a > b ? a : b),
  };

  function evaluate(node, variables, apply, number) {
    if (typeof node === "number") return number(node);
    if (typeof node === "string") {
      if (!Object.hasOwn(variables, node)) throw new Error(`nothing is known of ${node}`);
      return variables[node];
    }
    const [operator, left, right] = node;
    if (!Object.hasOwn(apply, operator)) throw new Error(`${operator} is no operator`);
    return apply[operator](
      evaluate(left, variables, apply, number),
      evaluate(right, variables, apply, number),
    );
  }

  const whole = (node, variables) => evaluate(node, variables, WHOLE, BigInt);
  const real = (node, variables) => evaluate(node, variables, REAL, Number);

  function products(pairs, units, variables) {
    let sum = 0n;
    for (const [unit, coefficient] of pairs) {
      sum += BigInt(coefficient) * whole(units[unit], variables);
    }
    return sum;
  }

  // To the nearest whole number, halves to the even one, as Python rounds.
  function nearest(sum, parts) {
    const twice = 2n * (sum % parts);
    const floor = sum / parts;
    return twice > parts || (twice === parts && floor % 2n === 1n) ? floor + 1n : floor;
  }

  // The calls of a setting, summed over the draws; nothing where the method refuses the setting.
  function calls(data, setting) {
    const table = data.calls.tables[data.calls.methods[setting.method].table];
    return table.rows[table.axes.map((axis) => setting[axis]).join(",")];
  }

  // {refused: why}, or every figure of a query: model is an entry of coefficients, units its units.
  function price(data, model, units, setting) {
    const kind = `${model.mode}/${model.task}`;
    const known = Object.hasOwn(data.counts, kind) ? data.counts[kind] : {};
    const counts = known[setting.method];
    if (!counts || counts.refused) {
      return { refused: counts ? counts.refused : `nothing is known of models of kind ${kind}` };
    }
    const coefficients = model.flops[setting.convention];
    if (!coefficients) {
      return { refused: `the convention ${setting.convention} does not describe this model` };
    }
    const row = calls(data, setting);
    if (!row) return { refused: "the method refuses these settings" };
    const sums = { calls: 0n, prompt_tokens: 0n, generated_tokens: 0n, flops: 0n };
    let memory = 0n;
    let longest = 0n;
    for (const [task, passages, number] of row.slice(1)) {
      const lengths = {
        query_tokens: BigInt(setting.query_tokens),
        passage_tokens: BigInt(setting.passage_tokens),
        extra_tokens: 0n,
        answer_tokens: BigInt(setting.answer_tokens),
        passages: BigInt(passages),
      };
      const usage = {};
      for (const [name, count] of Object.entries(counts[task])) usage[name] = whole(count, lengths);
      const times = BigInt(number);
      sums.calls += times;
      sums.prompt_tokens += times * usage.prompt_tokens;
      sums.generated_tokens += times * usage.generated_tokens;
      sums.flops += times * products(coefficients, units, usage);
      memory = WHOLE.max(memory, products(model.memory, units, usage));
      longest = WHOLE.max(longest, products(model.longest, units, usage));
    }
    const draws = data.calls.draws;
    const flops = nearest(sums.flops, BigInt(draws));
    const device = data.accelerators[setting.on];
    const means = {
      flops: Number(flops),
      calls: Number(sums.calls) / draws,
      rounds: row[0] / draws,
      prompt_tokens: Number(sums.prompt_tokens) / draws,
      generated_tokens: Number(sums.generated_tokens) / draws,
      first_weight_bytes: model.first_weight_bytes,
      weight_bytes: model.weight_bytes,
      peak_flops: device.flops,
      bandwidth: device.bandwidth,
    };
    const figures = {};
    for (const [name, figure] of Object.entries(data.figures)) figures[name] = real(figure, means);
    return { ...means, ...figures, flops, memory, longest };
  }

  window.e2rPrice = { price, calls };
})();
