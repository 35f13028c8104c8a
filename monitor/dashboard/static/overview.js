// All monitors and segments at a glance.

import { byId, drawSparkline, element, setState, setText, sparkline } from "./dom.js";
import { STATE_NAMES, clock, count, duration, nameOf, number, pValue, percent } from "./format.js";

const RANK = { drift: 0, pending: 1, normal: 2, none: 3 };
const collator = new Intl.Collator("en", { numeric: true });
const rows = new Map();
let place = { top: 0, link: null };

export function linkTo(monitor, segment) {
  return `#${new URLSearchParams({ monitor, segment })}`;
}

// The table is kept while a segment is shown, and found again as it was left.
export function rememberPlace() {
  if (byId("overview").hidden) return;
  place = { top: scrollY, link: document.activeElement?.closest("#rows a") };
}

export function returnToPlace() {
  scrollTo(0, place.top);
  place.link?.focus({ preventScroll: true });
}

export function showOverview(data, now) {
  const items = data.monitors.flatMap(itemsOf).sort(inOrder);
  const { headline, summary } = tell(items, data.monitors, now);
  setText(byId("headline"), headline);
  setText(byId("summary"), summary);
  setText(byId("statistic-column"), data.monitors.every(({ test }) => test === "ks_2samp") ? "K-S distance" : "Statistic");
  byId("headline").dataset.state = items.length ? items[0].state : "none";
  document.title = `${headline} · drift-monitor`;
  showRows(items, now);
  filterRows();
}

function itemsOf(monitor) {
  const segments = monitor.segments.length ? monitor.segments : [{ segment: null, open: 0, last: null }];
  return segments.map((segment) => ({
    ...segment,
    monitor: monitor.monitor,
    state: segment.state ?? "none",
    size: monitor.window.size,
    name: nameOf(monitor.monitor, segment.segment),
  }));
}

function inOrder(one, other) {
  if (one.state !== other.state) return RANK[one.state] - RANK[other.state];
  if (one.state === "drift") return other.since_ms - one.since_ms || collator.compare(one.name, other.name);
  return collator.compare(one.name, other.name);
}

function tell(items, monitors, now) {
  const scope = `${count(items.length, "segment")} of ${count(monitors.length, "monitor")}`;
  const waiting = monitors.reduce((sum, monitor) => sum + monitor.awaiting, 0);
  const rejecting = monitors.filter((monitor) => Object.keys(monitor.rejected).length).map(rejectsOf);
  const rejected = rejecting.length ? ` Rejected events: ${rejecting.join(", ")}.` : "";
  const tested = items.map((item) => item.last?.tested_ms ?? 0).reduce((one, other) => Math.max(one, other), 0);
  const latest = tested ? ` The latest verdict came ${duration(now - tested)} ago.` : "";
  const backlog = `${latest}${waiting ? ` ${count(waiting, "window")} wait for a verdict.` : ""}${rejected}`;
  const drifting = items.filter((item) => item.state === "drift");
  const pending = items.filter((item) => item.state === "pending").length;
  const more = pending ? ` ${count(pending, "segment")} had a drifted window, not yet enough for an alert.` : "";
  if (drifting.length === 1) {
    const [one] = drifting;
    const since = `Since ${clock(one.since_ms, now)} (${duration(now - one.since_ms)})${howBad(one.last)}.`;
    return { headline: `${one.name} is drifting`, summary: `${since}${items.length > 1 ? ` ${scope} watched.` : ""}${more}${backlog}` };
  }
  if (drifting.length > 1) {
    const longest = drifting.reduce((one, other) => (other.since_ms < one.since_ms ? other : one));
    return {
      headline: `${drifting.length.toLocaleString("en")} segments are drifting`,
      summary: `${longest.name} for the longest, since ${clock(longest.since_ms, now)} (${duration(now - longest.since_ms)}). ${scope} watched.${more}${backlog}`,
    };
  }
  if (items.every((item) => item.state === "none")) {
    return { headline: "No verdict yet", summary: `A window is tested once it is full. ${waitingFor(items)}${backlog}` };
  }
  return { headline: "Nothing is drifting", summary: `${scope} watched.${more}${backlog}` };
}

function rejectsOf(monitor) {
  const all = Object.values(monitor.rejected).reduce((sum, one) => sum + one, 0);
  return `${monitor.monitor} ${all.toLocaleString("en")}`;
}

function howBad(last) {
  if (!last) return "";
  return last.flagged_fraction === null ? `, p ${pValue(last.p_value)}` : `, ${percent(last.flagged_fraction)} of the last window's inputs flagged`;
}

function waitingFor(items) {
  const fullest = items.reduce((one, other) => (other.open / other.size > one.open / one.size ? other : one));
  if (!fullest.open) return "No event has been counted so far; is a worker running?";
  return `${fullest.name} has ${fullest.open.toLocaleString("en")} of ${fullest.size.toLocaleString("en")} scores.`;
}

function showRows(items, now) {
  const body = byId("rows");
  const focused = document.activeElement;
  const seen = new Set();
  let next = body.firstElementChild;
  for (const item of items) {
    const key = JSON.stringify([item.monitor, item.segment]);
    seen.add(key);
    let row = rows.get(key);
    if (!row) rows.set(key, (row = newRow(item)));
    row.update(item, now);
    if (row.node === next) next = next.nextElementSibling;
    else body.insertBefore(row.node, next);
  }
  for (const [key, row] of rows) {
    if (!seen.has(key)) {
      row.node.remove();
      rows.delete(key);
    }
  }
  // A row that moved has lost the focus it had.
  if (focused !== document.activeElement && body.contains(focused)) focused.focus();
}

function newRow(item) {
  const node = element("tr");
  const cell = Object.fromEntries(
    ["state", "name", "since", "number p", "number statistic", "number flagged", "recent", "latest"].map((name) => {
      const made = element(name === "name" ? "th" : "td", name);
      return [name.split(" ").pop(), made];
    }),
  );
  cell.name.scope = "row";
  const mark = element("span", "state-mark");
  cell.state.append(mark);
  const link = element(item.segment === null ? "span" : "a", "", item.name);
  if (item.segment !== null) link.href = linkTo(item.monitor, item.segment);
  cell.name.append(link);
  const spark = sparkline();
  cell.recent.append(spark);
  node.append(...Object.values(cell));
  let shown = "";

  return {
    node,
    update(next, now) {
      node.dataset.name = next.name.toLowerCase();
      const { last } = next;
      // What goes with the clock is written each time, the rest when it has changed.
      setText(cell.since, next.state === "none" ? filling(next) : since(next, now));
      setText(cell.latest, last ? `${duration(now - last.tested_ms)} ago` : "–");
      const content = JSON.stringify(next);
      if (content === shown) return;
      shown = content;
      node.dataset.state = next.state;
      setState(mark, next.state, STATE_NAMES[next.state]);
      setText(cell.p, last ? pValue(last.p_value) : "–");
      setText(cell.statistic, last ? number(last.statistic) : "–");
      setText(cell.flagged, last ? percent(last.flagged_fraction) : "–");
      spark.style.display = last ? "" : "none";
      if (last) drawSparkline(spark, next.recent);
    },
  };
}

function since(item, now) {
  return item.since_ms ? `${clock(item.since_ms, now)} · ${duration(now - item.since_ms)}` : "the first window";
}

function filling(item) {
  return item.segment === null ? "no event yet" : `${item.open} of ${item.size} scores`;
}

// A row is a larger target than the link in it; selecting text in one is not a click.
export function openRow(event) {
  if (event.target.closest("a") || String(getSelection())) return;
  const link = event.target.closest("tr")?.querySelector("a");
  link?.focus();
  link?.click();
}

export function filterRows() {
  const wanted = byId("find").value.trim().toLowerCase();
  const state = byId("state-filter").value;
  let shown = 0;
  for (const { node } of rows.values()) {
    const fits = node.dataset.name.includes(wanted) && (!state || node.dataset.state === state);
    node.hidden = !fits;
    shown += fits;
  }
  setText(byId("shown"), shown === rows.size ? "" : `${shown.toLocaleString("en")} of ${count(rows.size, "segment")}`);
}
