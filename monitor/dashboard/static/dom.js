// The few things that are done to the document again and again.

export const byId = (id) => document.getElementById(id);

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// Writing only what has changed keeps selections, screen readers and 1,000 rows calm.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setState(node, state, text) {
  node.dataset.state = state;
  setText(node, text);
}

const SVG = "http://www.w3.org/2000/svg";
const BAR = 4;
const HEIGHT = 18;

export function sparkline() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("role", "img");
  svg.setAttribute("height", HEIGHT);
  for (const kind of ["clean", "drifted"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    svg.append(path);
  }
  return svg;
}

// One bar a window, as high as its statistic; two paths instead of twenty bars keep 1,000 rows light.
export function drawSparkline(svg, { statistic, drift }) {
  const tallest = Math.max(0.5, ...statistic);
  const paths = { clean: "", drifted: "" };
  statistic.forEach((value, i) => {
    const height = Math.max(1.5, (value / tallest) * HEIGHT);
    paths[drift[i] ? "drifted" : "clean"] += `M${i * BAR} ${HEIGHT}v${-height}h${BAR - 1}v${height}z`;
  });
  const width = Math.max(1, statistic.length * BAR);
  svg.setAttribute("width", width);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.firstChild.setAttribute("d", paths.clean);
  svg.lastChild.setAttribute("d", paths.drifted);
  const drifted = drift.filter(Boolean).length;
  svg.setAttribute("aria-label", `${drifted} of the latest ${statistic.length} drifted`);
}
