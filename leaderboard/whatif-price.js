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
    const asked = { prefill: 0n, all: 0n, cache: 0n, steps: 0n, fewest: null, headed: true };
    const ideal = model.flops.ideal;
    let memory = 0n;
    let longest = 0n;
    const kinds = [];
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
      kinds.push({
        calls: Number(times) / data.calls.draws,
        prompt: usage.prompt_tokens,
        cached: usage.cached_tokens ?? 0n,
        generated: usage.generated_tokens,
      });
      sums.prompt_tokens += times * usage.prompt_tokens;
      sums.generated_tokens += times * usage.generated_tokens;
      sums.flops += times * products(coefficients, units, usage);
      // The clock's view: FLOPs of the first pass apart from the rest, and what the steps read.
      const opening = { ...usage, generated_tokens: WHOLE.min(usage.generated_tokens, 1n) };
      const steps = WHOLE.max(usage.generated_tokens, 1n) - 1n;
      asked.prefill += times * products(ideal, units, opening);
      asked.all += times * products(ideal, units, usage);
      asked.cache += times * (products(model.cache, units, usage) - products(model.cache, units, opening));
      asked.steps += times * steps;
      asked.fewest = asked.fewest === null ? steps : WHOLE.min(asked.fewest, steps);
      asked.headed &&= usage.head_positions > 0n;
      memory = WHOLE.max(memory, products(model.memory, units, usage));
      longest = WHOLE.max(longest, products(model.longest, units, usage));
    }
    const draws = data.calls.draws;
    const flops = nearest(sums.flops, BigInt(draws));
    const mean = (sum) => Number(sum) / draws;
    const means = {
      flops: Number(flops),
      calls: mean(sums.calls),
      rounds: row[0] / draws,
      prompt_tokens: mean(sums.prompt_tokens),
      generated_tokens: mean(sums.generated_tokens),
    };
    const figures = {};
    for (const [name, figure] of Object.entries(data.figures)) figures[name] = real(figure, means);
    const found = first(data, setting);
    const wanted = {
      ...means,
      steps: mean(asked.steps),
      fewest_steps: Number(asked.fewest ?? 0n),
      prefill_flops: mean(asked.prefill),
      decode_flops: mean(asked.all - asked.prefill),
      cache_read_bytes: mean(asked.cache),
      prefill_weight_bytes: model.weight_bytes[asked.headed ? 1 : 0],
      decode_weight_bytes: model.weight_bytes[2],
      first_stage_flops: found.flops,
      first_stage_bytes: found.bytes,
      weight_memory: 2 * model.parameters,
      call_memory: Number(memory) - 2 * model.parameters,
    };
    return { ...means, ...figures, flops, memory, longest, ...clock(data, setting, wanted), first: found, kinds };
  }

  // What finding the candidates costs, by the expressions of its kind.
  function first(data, setting) {
    const kind = data.first_stages[setting.first_stage];
    if (!kind) return { flops: 0, bytes: 0 };
    const known = { ...kind.usual, query_tokens: setting.query_tokens };
    for (const name of kind.wants) {
      if (Object.hasOwn(setting, name)) known[name] = setting[name];
    }
    known.posting_share = setting.posting_share / 100;
    const [flops, bytes] = kind.encoder[setting.query_tokens - 1] || [0, 0];
    return {
      flops: flops + Math.ceil(real(kind.flops, known)),
      bytes: bytes + Math.ceil(real(kind.bytes, known)),
    };
  }

  // Seconds, joules and money: the clock's expressions, floor and expected apart.
  function clock(data, setting, known) {
    const device = data.accelerators[setting.on];
    const used = { utilization: setting.utilization / 100 };
    for (const name of ["concurrency", "batch_size", "weight_bits", "qps", "price_per_hour"]) {
      used[name] = setting[name];
    }
    const all = { ...known, ...device, ...used };
    const parts = {};
    for (const [name, part] of Object.entries(data.clock.floor)) parts[name] = real(part, all);
    const floor = { ...parts, seconds: parts.prefill + parts.decode + parts.first_stage };
    const share = (seconds) => real(data.clock.of_seconds.expected, { ...used, seconds });
    const expected = {};
    for (const name of Object.keys(data.clock.floor)) expected[name] = share(parts[name]);
    expected.seconds = expected.prefill + expected.decode + expected.first_stage;
    for (const kind of [floor, expected]) {
      for (const [name, figure] of Object.entries(data.clock.of_seconds)) {
        if (name === "expected" || (name === "joules" && device.watts === null)) continue;
        kind[name] = real(figure, { ...used, watts: device.watts, seconds: kind.seconds });
      }
    }
    return { floor, expected, held: real(data.clock.memory, all) };
  }

  window.e2rPrice = { price, calls };
})();
