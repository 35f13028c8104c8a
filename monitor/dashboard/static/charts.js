// Charts on uPlot: colours from the style sheet, sizes from the page, both followed when they change.

/* global uPlot */

import { number } from "./format.js";

const FONT = "12px system-ui, sans-serif";
const LABEL_HEIGHT = 17;
const HALF_TIME = 28; // of the width of a time under the last window, which would be cut off
const charts = new Set();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

class Chart {
  // `options()` is asked anew whenever the chart is built; `data` is what uPlot draws.
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.plot = null;
    host.setAttribute("role", "img");
    new ResizeObserver(() => this.fit()).observe(host);
    charts.add(this);
  }

  set(data, label) {
    this.data = data;
    this.host.setAttribute("aria-label", label);
    if (this.plot) this.plot.setData(data);
    else this.build();
  }

  build() {
    this.plot?.destroy();
    this.plot = null;
    if (!this.data || !this.host.clientWidth) return;
    const common = {
      width: this.host.clientWidth,
      height: this.host.clientHeight,
      legend: { show: false },
      padding: [10, 10, 0, 0],
    };
    this.plot = new uPlot({ ...common, ...this.options() }, this.data, this.host);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width) return;
    if (!this.plot) this.build();
    else if (this.plot.width !== width || this.plot.height !== height) this.plot.setSize({ width, height });
  }

  clear() {
    this.plot?.destroy();
    this.plot = this.data = null;
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of charts) chart.build();
});

function axis(options = {}) {
  const grid = { stroke: colour("grid"), width: 1 };
  return { stroke: colour("muted"), font: FONT, grid, ticks: { ...grid, size: 5 }, ...options };
}

// --- What happened window by window -----------------------------------------------------------------------

export class Timeline {
  // `spec`: {y: range function, values: tick labels, splits?, colour, threshold?: true, named?: true}
  constructor(host, spec, { onPick }) {
    this.spec = spec;
    this.moments = { times: [], states: [], alerts: [] };
    this.chart = new Chart(host, () => this.options(onPick));
  }

  // `values`, `drift` and `threshold` run beside each other, as do the moments' times, states and alerts.
  set(values, drift, threshold, moments, label) {
    this.moments = moments;
    const drifted = values.map((value, i) => (drift[i] ? value : null));
    this.chart.set([values.map((_, i) => i), values, drifted, threshold], label);
  }

  pick(index) {
    const { plot } = this.chart;
    if (plot) plot.setCursor({ left: plot.valToPos(index, "x"), top: -10 }, false);
  }

  clear() {
    this.chart.clear();
  }

  options(onPick) {
    const { spec } = this;
    const line = colour(spec.colour);
    return {
      padding: [spec.named ? LABEL_HEIGHT + 3 : 10, HALF_TIME, 0, 0],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: { key: "windows", scales: ["x", null] },
        points: { size: 8 },
      },
      scales: {
        x: { time: false, range: (_, low, high) => [(low ?? 0) - 0.5, (high ?? 0) + 0.5] },
        y: { range: spec.y },
      },
      axes: [
        axis({
          size: 30,
          space: 84,
          incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200],
          values: (_, splits) => splits.map((i) => this.timeAt(i)),
        }),
        axis({ size: 58, values: (_, splits) => splits.map(spec.values), ...(spec.splits ? { splits: spec.splits } : {}) }),
      ],
      series: [
        {},
        { stroke: line, width: 1.5, points: { size: 5, fill: line }, spanGaps: true },
        { stroke: colour("drift"), paths: () => null, points: { show: true, size: 7, fill: colour("drift") } },
        { stroke: colour("threshold"), width: 1.5, dash: [6, 4], points: { show: false }, paths: uPlot.paths.stepped({ align: 1, extend: true }) },
      ],
      hooks: {
        drawClear: [(plot) => this.drawStates(plot)],
        draw: [(plot) => this.drawAlerts(plot)],
        setCursor: [(plot) => plot.cursor.event && onPick(plot.cursor.idx)],
      },
    };
  }

  timeAt(index) {
    return Number.isInteger(index) ? (this.moments.times[index] ?? "") : "";
  }

  drawStates(plot) {
    const { states } = this.moments;
    for (let start = 0; start < states.length; ) {
      let end = start;
      while (end + 1 < states.length && states[end + 1] === states[start]) end += 1;
      if (states[start] !== "normal") {
        const [left, right] = [start - 0.5, end + 0.5].map((at) => clamp(plot.valToPos(at, "x", true), plot.bbox));
        plot.ctx.fillStyle = colour(`${states[start]}-area`);
        plot.ctx.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
      }
      start = end + 1;
    }
  }

  drawAlerts(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    let taken = Infinity;
    for (let i = this.moments.alerts.length - 1; i >= 0; i -= 1) {
      const kind = this.moments.alerts[i];
      if (!kind) continue;
      const x = Math.round(plot.valToPos(i - 0.5, "x", true));
      ctx.fillStyle = colour(kind === "resolved" ? "normal" : "drift");
      ctx.fillRect(x - ratio, bbox.top, 2 * ratio, bbox.height);
      if (!this.spec.named) continue;
      // Above the plot, so that no point hides behind a name; the last one still has to fit in.
      const width = ctx.measureText(kind).width + 8 * ratio;
      const left = Math.min(x - ratio, bbox.left + bbox.width - width);
      const top = bbox.top - LABEL_HEIGHT * ratio;
      // Where names would cover each other, the latest is the one that matters.
      if (left + width > taken) continue;
      taken = left;
      ctx.fillRect(left, top, width, LABEL_HEIGHT * ratio);
      ctx.fillStyle = colour("card");
      ctx.fillText(kind, left + 4 * ratio, top + 3 * ratio);
    }
    ctx.restore();
  }
}

function clamp(at, { left, width }) {
  return Math.max(left, Math.min(left + width, at));
}

// --- How the scores lie -----------------------------------------------------------------------------------

// Scores on a logarithmic axis are handed to uPlot as their logarithms, which keeps its ticks ours to choose.
class ScoreChart {
  constructor(host) {
    this.chart = new Chart(host, () => this.options());
  }

  clear() {
    this.chart.clear();
  }

  at(score) {
    return this.log ? Math.log10(score) : score;
  }

  // The axis ends a little beyond the highest score, so that its own step can be seen.
  bounds() {
    const [low, high] = [this.at(this.edges[0]), this.at(this.edges.at(-1))];
    return [low, high + 0.02 * (high - low)];
  }

  // What does not depend on the scores but on the kind of their axis is settled when the chart is built.
  take(comparison) {
    const log = comparison.scale === "log";
    if (log !== this.log) this.chart.clear();
    this.log = log;
    this.comparison = comparison;
    this.edges = comparison.edges;
  }

  frame(series, y) {
    const scoreAxis = axis({ values: (_, splits) => splits.map((at) => scoreLabel(this.log ? 10 ** at : at)), size: 30, space: 60 });
    if (this.log) scoreAxis.splits = () => decades(...this.bounds());
    return {
      cursor: { show: false },
      scales: { x: { time: false, range: () => this.bounds() }, y },
      axes: [scoreAxis, axis({ size: 58, values: (_, splits) => splits.map((share) => `${Number((share * 100).toPrecision(3))} %`) })],
      series,
    };
  }
}

export class Histogram extends ScoreChart {
  set(comparison, label) {
    this.take(comparison);
    const open = (shares) => [...shares, shares.at(-1)];
    const data = [this.edges.map((edge) => this.at(edge)), open(comparison.reference_shares), open(comparison.window_shares)];
    this.chart.set(data, label);
  }

  options() {
    const bars = (name) => ({
      stroke: colour(name),
      fill: colour(`${name}-area`),
      width: 1.5,
      points: { show: false },
      paths: uPlot.paths.stepped({ align: 1 }),
    });
    return this.frame([{}, bars("reference"), bars("window")], { range: (_, low, high) => [0, (high || 1) * 1.08] });
  }
}

export class Ecdf extends ScoreChart {
  set(comparison, label) {
    this.take(comparison);
    const x = comparison.x.map((score) => this.at(score));
    this.chart.set([[...x, this.bounds()[1]], [...comparison.reference_ecdf, 1], [...comparison.window_ecdf, 1]], label);
  }

  options() {
    const steps = (name) => ({
      stroke: colour(name),
      width: 2,
      points: { show: false },
      paths: uPlot.paths.stepped({ align: 1 }),
    });
    return {
      ...this.frame([{}, steps("reference"), steps("window")], { range: () => [0, 1.02] }),
      hooks: { draw: [(plot) => this.drawDistance(plot)] },
    };
  }

  drawDistance(plot) {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    const { at, window_at: ours, reference_at: theirs, distance } = this.comparison;
    const x = plot.valToPos(this.at(at), "x", true);
    const [one, other] = [ours, theirs].map((share) => plot.valToPos(share, "y", true));
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("distance");
    ctx.lineWidth = 3 * ratio;
    ctx.beginPath();
    ctx.moveTo(x, one);
    ctx.lineTo(x, other);
    ctx.stroke();
    ctx.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "middle";
    const text = `D = ${number(distance)}`;
    const width = ctx.measureText(text).width + 8 * ratio;
    const onRight = x + width + 6 * ratio < plot.bbox.left + plot.bbox.width;
    const left = onRight ? x + 5 * ratio : x - width - 5 * ratio;
    const middle = (one + other) / 2;
    ctx.fillStyle = colour("card");
    ctx.fillRect(left, middle - 9 * ratio, width, 18 * ratio);
    ctx.fillStyle = colour("distance");
    ctx.textAlign = "left";
    ctx.fillText(text, left + 4 * ratio, middle);
    ctx.restore();
  }
}

function decades(low, high) {
  const digits = high - low < 2.5 ? [1, 2, 5] : [1];
  const found = [];
  const every = Math.ceil((high - low) / 7);
  for (let exponent = Math.floor(low); exponent <= high; exponent += 1) {
    if (exponent % every) continue;
    for (const digit of digits) {
      const at = exponent + Math.log10(digit);
      if (at >= low && at <= high) found.push(at);
    }
  }
  return found;
}

function scoreLabel(score) {
  if (score === 0) return "0";
  const rounded = Number(score.toPrecision(3));
  return Math.abs(rounded) < 1e-3 || Math.abs(rounded) >= 1e5 ? rounded.toExponential().replace("e+", "e") : String(rounded);
}
