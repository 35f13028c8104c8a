// One segment in full.

import { Ecdf, Histogram, Timeline } from "./charts.js";
import { byId, element, setState, setText } from "./dom.js";
import { STATE_NAMES, clock, count, duration, nameOf, number, offsets, pValue, percent, shortClock } from "./format.js";

const P_FLOOR = 1e-12; // smaller p-values are drawn here; the exact ones are in the text
const TABLE_ROWS = 100;

let charts = null;
let shown = ""; // what is drawn, so that it is drawn again only when it changes
let current = null;
let picked = null; // index of the window under the cursor or slider; null follows the latest

export function clearSegment() {
  byId("segment").hidden = true;
  for (const chart of Object.values(charts ?? {})) chart.clear();
  shown = "";
  picked = null;
}

export function showSegment(data, now) {
  current = data;
  const { verdicts } = data;
  const n = verdicts.sequence.length;
  const name = nameOf(data.monitor, data.segment);
  const state = data.state ?? "none";
  setText(byId("segment-name"), name);
  setState(byId("segment-state"), state, STATE_NAMES[state]);
  setText(byId("segment-lead"), lead(data, now));
  document.title = `${name}: ${STATE_NAMES[state]} · drift-monitor`;
  byId("judged").hidden = n === 0;
  showTiles(data, now);
  if (n === 0) return;
  // Ages go with the clock; the rest only with a new verdict.
  const content = JSON.stringify([data.monitor, data.segment, verdicts, data.last, data.drifted]);
  if (content === shown) return;
  shown = content;
  showEvents(data);
  showTimelines(data);
  showDistributions(data);
  showWindows(data);
}

function lead(data, now) {
  const { verdicts } = data;
  const n = verdicts.sequence.length;
  const since = `since ${clock(data.since_ms, now)} (${duration(now - data.since_ms)})`;
  if (n === 0 && data.state) {
    // Where a segment stands outlives a loss of Redis; the verdicts that led there do not.
    return `${data.state === "drift" ? "In drift" : data.state} ${data.since_ms ? since : ""}. Its earlier verdicts are not in Redis any more.`;
  }
  if (n === 0) {
    const size = data.window.size.toLocaleString("en");
    return `No verdict yet: the first window has ${data.open.toLocaleString("en")} of ${size} scores. Events come from topic ${data.topic}.`;
  }
  // What led to the alert counts as well: the pending windows before it.
  const entered = n - 1 - [...verdicts.state].reverse().findIndex((state) => state === "normal");
  const during = verdicts.drift.slice(entered < n ? entered + 1 : 0);
  const drifted = during.filter(Boolean).length;
  if (data.state === "drift") {
    const worst = Math.max(...verdicts.statistic.slice(-during.length));
    return `In drift ${since}. ${drifted} of the latest ${count(during.length, "window")} drifted, ${statisticName(data)} up to ${number(worst)}${flaggedUpTo(verdicts.flagged_fraction.slice(-during.length))}.`;
  }
  if (data.state === "pending") {
    return `Pending ${since}: ${drifted === 1 ? "a window has" : `${drifted} windows have`} drifted, not yet enough for an alert.`;
  }
  const last = verdicts.alert.lastIndexOf("resolved");
  const before = last < 0 ? "" : ` The last drift was resolved ${duration(now - verdicts.tested_ms[last])} ago.`;
  return `Normal${data.since_ms ? ` ${since}` : ""}.${before}`;
}

function flaggedUpTo(shares) {
  return shares.includes(null) ? "" : `, up to ${percent(Math.max(...shares))} of inputs flagged`;
}

function statisticName(data) {
  return data.test === "ks_2samp" ? "K-S distance" : "statistic";
}

function showTiles(data, now) {
  const { verdicts } = data;
  const end = verdicts.sequence.length - 1;
  const [version, reference] = inForce(data);
  const tiles = [];
  if (end >= 0) {
    const mean = data.references[verdicts.reference[end]]?.mean;
    const critical = verdicts.critical[end];
    tiles.push(
      ["p-value", pValue(verdicts.p_value[end]), `threshold ${pValue(verdicts.threshold[end])}`, verdicts.drift[end]],
      [statisticName(data), number(verdicts.statistic[end]), critical === null ? `test: ${data.alternative}` : `drift from ${number(critical)}`],
      ["Flagged inputs", percent(verdicts.flagged_fraction[end]), `of ${verdicts.size[end].toLocaleString("en")} in window ${verdicts.sequence[end]}`],
      ["Mean score", number(verdicts.mean[end]), mean === undefined ? "" : `reference ${number(mean)}`],
      ["Throughput", data.rate === null ? "–" : `${number(data.rate)}/s`, `last verdict ${duration(now - verdicts.tested_ms[end])} ago`],
    );
  }
  tiles.push([
    "Reference",
    version ? version.replace("sha256:", "").slice(0, 8) : "none yet",
    reference ? `${reference.size.toLocaleString("en")} scores${reference.since_ms ? `, since ${clock(reference.since_ms, now)}` : ""}` : "the first worker stores it",
    false,
    version,
  ]);
  tiles.push(["Open window", data.open.toLocaleString("en"), `of ${data.window.size.toLocaleString("en")} scores`]);
  const all = Object.values(data.rejected).reduce((sum, one) => sum + one, 0);
  const reasons = Object.entries(data.rejected).map(([reason, times]) => `${reason} ${times.toLocaleString("en")}`);
  const shown = reasons.length > 2 ? `${reasons[0]}, ${reasons.length - 1} more reasons` : reasons.join(", ");
  tiles.push(["Rejected events", all.toLocaleString("en"), shown.replaceAll("_", " ") || "of the whole monitor", false, reasons.join(", ")]);
  const list = byId("tiles");
  while (list.children.length < tiles.length) {
    const tile = element("div");
    tile.append(element("dt"), element("dd", "value"), element("dd", "note"));
    list.append(tile);
  }
  while (list.children.length > tiles.length) list.lastElementChild.remove();
  tiles.forEach(([title, value, note, alarming, full], i) => {
    const tile = list.children[i];
    const [term, main, side] = tile.children;
    setText(term, title);
    setText(main, value);
    setText(side, note);
    tile.dataset.alarming = alarming ? "yes" : "no";
    main.title = full ?? "";
  });
}

function inForce(data) {
  return Object.entries(data.references).find(([, reference]) => reference.in_force) ?? [null, null];
}

function showEvents(data) {
  const { last, drifted: before, verdicts } = data;
  // After a recovery it is still the drifted window that one asks about.
  byId("drifted").hidden = !before || before.sequence === last?.sequence;
  listEvents("drifted-events", before);
  if (before) setText(byId("drifted-note"), `Window ${before.sequence}${testedAt(verdicts, before.sequence)}, offsets ${offsets(before.offsets)}.`);
  listEvents("events", last);
  if (!last) {
    setText(byId("events-note"), "Not kept by the worker that judged the last window.");
    return;
  }
  const index = verdicts.sequence.indexOf(last.sequence);
  const drifted = index >= 0 && verdicts.drift[index] ? ", which drifted" : "";
  setText(byId("events-note"), `Window ${last.sequence}${drifted}. Topic ${data.topic}, offsets ${offsets(last.offsets)}.`);
}

function testedAt(verdicts, sequence) {
  const index = verdicts.sequence.indexOf(sequence);
  return index < 0 ? "" : ` at ${clock(verdicts.tested_ms[index])} (p ${pValue(verdicts.p_value[index])})`;
}

function listEvents(id, window) {
  const rows = (window?.examples ?? []).map((example) => {
    const row = element("tr");
    const name = element("th", "", example.id ?? "without id");
    name.scope = "row";
    row.append(name, element("td", "", `${example.partition} : ${example.offset}`), element("td", "number", number(example.score)));
    return row;
  });
  byId(id).replaceChildren(...rows);
}

function makeCharts() {
  const pick = { onPick };
  const fromZero = (_, low, high) => [Math.min(0, low ?? 0), Math.max((high ?? 0) * 1.1, 1e-9)];
  charts = {
    p: new Timeline(
      byId("chart-p"),
      { colour: "clean", named: true, y: (_, low) => [Math.min(-3, Math.floor(low ?? 0)), 0.15], splits: decadeSplits, values: decadeLabel },
      pick,
    ),
    statistic: new Timeline(byId("chart-statistic"), { colour: "clean", y: fromZero, values: plain }, pick),
    flagged: new Timeline(byId("chart-flagged"), { colour: "clean", y: fromZero, values: (share) => `${number(share * 100, 2)} %` }, pick),
    rate: new Timeline(byId("chart-rate"), { colour: "clean", y: fromZero, values: plain }, pick),
    histogram: new Histogram(byId("chart-histogram")),
    ecdf: new Ecdf(byId("chart-ecdf")),
  };
}

const plain = (value) => number(value);

function decadeSplits(_, __, low) {
  const every = Math.ceil(-low / 6);
  return Array.from({ length: Math.floor(-low / every) + 1 }, (___, i) => -i * every).reverse();
}

function decadeLabel(exponent) {
  if (exponent <= Math.log10(P_FLOOR)) return "≤1e-12";
  return exponent < -3 ? `1e${exponent}` : String(10 ** exponent);
}

function showTimelines(data) {
  if (!charts) makeCharts();
  const { verdicts } = data;
  const { drift } = verdicts;
  const times = verdicts.tested_ms;
  const span = times.at(-1) - times[0];
  const moments = { times: times.map((at) => shortClock(at, span)), states: verdicts.state, alerts: verdicts.alert };
  const logarithm = (p) => Math.log10(Math.max(p, P_FLOOR));
  const none = drift.map(() => null);
  const drifted = drift.filter(Boolean).length;
  const end = drift.length - 1;
  const about = `${count(drift.length, "window")}, ${drifted} drifted`;

  setText(byId("statistic-title"), data.test === "ks_2samp" ? "K-S distance" : `Statistic of ${data.test}`);
  charts.p.set(verdicts.p_value.map(logarithm), drift, verdicts.threshold.map(logarithm), moments, `p-values of ${about}; the last is ${pValue(verdicts.p_value[end])}, the threshold ${pValue(verdicts.threshold[end])}`);
  charts.statistic.set(verdicts.statistic, drift, verdicts.critical, moments, `Statistic of ${about}; the last is ${number(verdicts.statistic[end])}`);
  charts.flagged.set(verdicts.flagged_fraction, drift, none, moments, `Share of flagged inputs of ${about}; the last is ${percent(verdicts.flagged_fraction[end])}`);
  charts.rate.set(verdicts.rate, none.map(() => false), none, moments, `Events a second; the last is ${number(verdicts.rate[end])}`);

  byId("pick").max = end;
  if (picked !== null && picked > end) picked = null;
  showPicked();
}

function onPick(index) {
  picked = index ?? null;
  showPicked();
}

export function pickByHand() {
  picked = Number(byId("pick").value);
  for (const chart of ["p", "statistic", "flagged", "rate"]) charts[chart].pick(picked);
  showPicked();
}

function showPicked() {
  const { verdicts } = current;
  const end = verdicts.sequence.length - 1;
  const i = picked ?? end;
  const parts = [
    `${verdicts.sequence[i]}, ${clock(verdicts.tested_ms[i])}: ${verdicts.drift[i] ? "drifted" : "clean"}`,
    `p ${pValue(verdicts.p_value[i])} (threshold ${pValue(verdicts.threshold[i])})`,
    `${statisticName(current)} ${number(verdicts.statistic[i])}`,
    `mean score ${number(verdicts.mean[i])}`,
  ];
  if (verdicts.flagged_fraction[i] !== null) parts.push(`${percent(verdicts.flagged_fraction[i])} flagged`);
  if (verdicts.alert[i]) parts.push(`alert: ${verdicts.alert[i]}`);
  setText(byId("picked"), parts.join(" · "));
  byId("pick").value = i;
  byId("pick").setAttribute("aria-valuetext", `window ${parts.join(", ")}`);
}

function showDistributions(data) {
  const drawn = data.last?.comparison;
  const index = data.verdicts.sequence.indexOf(data.last?.sequence);
  // The test's own number, which the curves give again but for its last digit.
  const comparison = drawn && { ...drawn, distance: data.verdicts.statistic[index] };
  byId("distributions").hidden = !comparison;
  byId("no-distribution").hidden = Boolean(comparison);
  if (!comparison) {
    setText(byId("no-distribution"), data.last?.problem ?? "The scores of the last window are not in Redis, so they cannot be drawn.");
    return;
  }
  setText(byId("histogram-title"), `Scores of window ${data.last.sequence} and of the reference`);
  const distance = number(comparison.distance);
  for (const note of document.querySelectorAll("#distributions .scale")) {
    setText(note, comparison.scale === "log" ? "scores on a logarithmic axis" : "");
  }
  const at = number(comparison.at);
  charts.histogram.set(comparison, `Histogram of the scores of window ${data.last.sequence} beside the reference's`);
  charts.ecdf.set(comparison, `At a score of ${at}, ${percent(comparison.reference_at)} of the reference and ${percent(comparison.window_at)} of the window lie below: a distance of ${distance}`);
}

function showWindows(data) {
  const { verdicts } = data;
  const rows = [];
  for (let i = verdicts.sequence.length - 1; i >= 0 && rows.length < TABLE_ROWS; i -= 1) {
    const row = element("tr");
    row.dataset.drift = verdicts.drift[i] ? "yes" : "no";
    const alert = verdicts.alert[i] ? ` · ${verdicts.alert[i]}` : "";
    row.append(
      element("td", "number", String(verdicts.sequence[i])),
      element("td", "", clock(verdicts.tested_ms[i])),
      element("td", "verdict", (verdicts.drift[i] ? "drifted" : "clean") + alert),
      element("td", "number", pValue(verdicts.p_value[i])),
      element("td", "number", pValue(verdicts.threshold[i])),
      element("td", "number", number(verdicts.statistic[i])),
      element("td", "number", number(verdicts.mean[i])),
      element("td", "number", percent(verdicts.flagged_fraction[i])),
      element("td", "number", verdicts.size[i].toLocaleString("en")),
      element("td", "", offsets(verdicts.offsets[i])),
    );
    rows.push(row);
  }
  byId("windows").replaceChildren(...rows);
}
