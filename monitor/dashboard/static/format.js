// Numbers and times as text. Everything shown goes through textContent, so nothing here has to escape.

const NAMELESS = "all"; // segment of a monitor that has no segments

export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return exponent(value, digits);
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 6 });
}

export function pValue(value) {
  if (value === null || value === undefined) return "–";
  return value < 1e-3 ? exponent(value, 2) : Number(value.toPrecision(2)).toString();
}

function exponent(value, digits) {
  return value === 0 ? "0" : value.toExponential(digits - 1).replace("e+", "e");
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  const points = share * 100;
  return `${points > 0 && points < 1 ? points.toFixed(1) : Math.round(points)} %`;
}

export function count(value, one, many = `${one}s`) {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}\u00a0s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}\u00a0h ${minutes % 60}\u00a0min`;
  return `${Math.floor(hours / 24)}\u00a0days`;
}

const two = (part) => String(part).padStart(2, "0");

export function clock(ms, now = Date.now()) {
  const at = new Date(ms);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (new Date(now).toDateString() === at.toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

// The browser's time zone: its abbreviation at that moment, such as "UTC" or "GMT+1".
export function zone(ms) {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(ms);
  return parts.find((part) => part.type === "timeZoneName").value;
}

export function shortClock(ms, span) {
  const at = new Date(ms);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (span < 10 * 60e3) return `${time}:${two(at.getSeconds())}`;
  return span < 20 * 3600e3 ? time : `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

export function nameOf(monitor, segment) {
  return segment === null || segment === NAMELESS ? monitor : `${monitor} / ${segment}`;
}

export const STATE_NAMES = { drift: "drift", pending: "pending", normal: "normal", none: "no verdict" };

export function offsets(ranges) {
  return ranges.map(([partition, first, last]) => `${partition}: ${first}–${last}`).join(", ");
}
