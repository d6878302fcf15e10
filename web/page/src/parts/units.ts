// Numbers for people: bytes, counts, rates and times, short and of the same width where they stand below each other.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return "–";
  let [value, unit] = [count, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** 1,234,567 as it is; groups of three are parted by a thin space. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
}

/** A count in little room: 950, 12.3k, 4.56M. */
export function short(value: number): string {
  const steps: [number, string][] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [size, name] of steps) {
    if (value >= size) return `${(value / size).toPrecision(3)}${name}`;
  }
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

export function rate(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return "–";
  if (perSecond === 0) return "0";
  return perSecond < 0.05 ? "<0.1" : short(perSecond);
}

export function span(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined) return "–";
  if (milliseconds <= 0) return "0 s";
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const parts: [number, string][] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([size]) => seconds >= size);
  const [size, name] = parts[at] ?? [1, "s"];
  const [below, belowName] = parts[at + 1] ?? [1, ""];
  const whole = Math.floor(seconds / size);
  const rest = Math.floor((seconds % size) / below);
  return rest && belowName ? `${whole} ${name} ${rest} ${belowName}` : `${whole} ${name}`;
}

export function micros(microseconds: number | null | undefined): string {
  return microseconds === null || microseconds === undefined ? "–" : span(microseconds / 1000);
}

/** The time of day with milliseconds, of this machine. */
export function clock(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const seconds = `${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return `${two(at.getHours())}:${two(at.getMinutes())}:${seconds}`;
}
