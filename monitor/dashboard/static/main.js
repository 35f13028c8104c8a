// Which view is shown, and keeping it fresh: the page asks again every two seconds, and when it is looked at.

import { byId, setText } from "./dom.js";
import { clock, zone } from "./format.js";
import { filterRows, openRow, rememberPlace, returnToPlace, showOverview } from "./overview.js";
import { clearSegment, pickByHand, showSegment } from "./segment.js";

const EVERY_MS = 2000;
const PATIENCE_MS = 10000;

let timer = 0;
let asked = 0; // number of the newest question; an answer to an older one is not shown
let readAt = null;
let returning = false; // from a segment to the table

function route() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const monitor = wanted.get("monitor");
  return monitor === null ? null : { monitor, segment: wanted.get("segment") ?? "all" };
}

async function refresh() {
  clearTimeout(timer);
  const turn = ++asked;
  const wanted = route();
  const address = wanted ? `api/segment?${new URLSearchParams(wanted)}` : "api/overview";
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 401) return location.reload();
    const data = await response.json();
    if (turn !== asked) return;
    if (!response.ok) throw new Error(data.error);
    // The server's clock, so that ages are right on a machine whose own clock is not.
    show(wanted, data, Date.parse(response.headers.get("date")) || Date.now());
  } catch (error) {
    if (turn !== asked) return;
    const gone = error instanceof TypeError || error.name === "TimeoutError";
    complain(gone ? "The dashboard's server does not answer." : error.message);
  }
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

function show(wanted, data, now) {
  const known = !byId("overview").hidden || !byId("segment").hidden;
  byId("overview").hidden = wanted !== null;
  byId("segment").hidden = wanted === null;
  if (wanted) {
    showSegment(data, now);
  } else {
    showOverview(data, now);
    if (returning) returnToPlace();
    returning = false;
  }
  byId("banner").hidden = true;
  readAt = now;
  setText(byId("freshness"), `live · ${clock(now, now)} ${zone(now)}`);
  byId("freshness").dataset.live = "yes";
  if (!known) performance.mark("first-view");
}

function complain(sentence) {
  const kept = readAt === null ? "" : ` Below is what was read at ${clock(readAt)} ${zone(readAt)}.`;
  setText(byId("banner"), `${sentence.replace(/\.$/, "")}.${kept} Trying again.`);
  byId("banner").hidden = false;
  setText(byId("freshness"), readAt === null ? "not connected" : `stale · ${clock(readAt)}`);
  byId("freshness").dataset.live = "no";
}

function move() {
  rememberPlace();
  returning = route() === null;
  clearSegment();
  byId("content").focus({ preventScroll: true });
  scrollTo(0, 0);
  refresh();
}

addEventListener("hashchange", move);
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address names the view; the skip link must not change it.
  event.preventDefault();
  byId("content").focus();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && route()) location.hash = "";
  if (event.key === "/" && !route() && !event.target.closest("input, select")) {
    event.preventDefault();
    byId("find").focus();
  }
});
document.addEventListener("visibilitychange", () => {
  // A page that nobody looks at does not ask.
  if (document.hidden) clearTimeout(timer);
  else refresh();
});
setText(byId("zone"), `, ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
byId("pick").addEventListener("input", pickByHand);
byId("rows").addEventListener("click", openRow);
byId("find").addEventListener("input", filterRows);
byId("state-filter").addEventListener("change", filterRows);
refresh();
