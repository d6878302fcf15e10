// How the gateway is, over time: totals of the feed made into rates, drawn with uPlot. All charts share one cursor.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { sampled, samples } from "../gateway.js";
import type { Figures, Sample } from "../parts/messages.js";
import { slopes } from "../parts/rates.js";
import { bytes, count, rate } from "../parts/units.js";
import { Empty } from "../text.js";

interface Line {
  label: string;
  /** A total that becomes a rate, or what stands as it is. */
  rate: boolean;
  of(figures: Figures): number | undefined;
}

interface Chart {
  title: string;
  hint: string;
  unit(value: number): string;
  lines: Line[];
}

const total = (label: string, of: Line["of"]): Line => ({ label, rate: true, of });
const level = (label: string, of: Line["of"]): Line => ({ label, rate: false, of });
const faults = ({ closed }: Figures) => Object.entries(closed).reduce((sum, [code, times]) => (code === "1000" || code === "1001" ? sum : sum + times), 0);

const CHARTS: Chart[] = [
  { title: "Connections", hint: "Open connections, and subscriptions of channels", unit: count, lines: [level("connections", (it) => it.connections), level("subscriptions", (it) => it.subscriptions)] },
  { title: "Messages a second", hint: "To the clients and from them", unit: rate, lines: [total("↓ to clients", (it) => it.sent_messages), total("↑ from clients", (it) => it.received_messages)] },
  { title: "Bytes a second", hint: "To the clients and from them, frame headers counted", unit: bytes, lines: [total("↓ to clients", (it) => it.sent_bytes), total("↑ from clients", (it) => it.received_bytes)] },
  { title: "Publications a second", hint: "What was appended to channels", unit: rate, lines: [total("publications", (it) => it.publications)] },
  { title: "Handshakes a second", hint: "Accepted and refused", unit: rate, lines: [total("accepted", (it) => it.accepted), total("refused", (it) => it.refused)] },
  { title: "Bad ends a second", hint: "Connections that ended other than with 1000 or 1001, and messages that were dropped", unit: rate, lines: [total("bad closes", faults), total("dropped", (it) => it.dropped)] },
  { title: "Waiting for clients", hint: "Bytes in all send queues: it grows when clients do not keep up", unit: bytes, lines: [level("queued", (it) => it.queue_bytes)] },
  { title: "Requests to backends a second", hint: "Polls and other requests, and those that failed", unit: rate, lines: [total("requests", (it) => it.backend_requests), total("errors", (it) => it.backend_errors)] },
  { title: "CPU", hint: "Of one core; two cores that are busy are 200 %", unit: (value) => `${value.toFixed(value > 0 && value < 10 ? 1 : 0)} %`, lines: [total("CPU", (it) => (it.cpu_ms === undefined ? undefined : it.cpu_ms / 10))] },
  { title: "Memory", hint: "What the process takes", unit: bytes, lines: [level("resident", (it) => it.resident_bytes)] },
];

const SPANS = [60, 300, 1800] as const;

export function FiguresView() {
  sampled.value;
  const [seconds, setSeconds] = useState<number>(300);
  const all = [...samples];
  const last = all.at(-1)?.at ?? 0;
  const seen = all.filter(({ at }) => at > last - seconds * 1000);
  return (
    <section class="view">
      <div class="tools">
        <h1>Figures</h1>
        <div class="tabs" role="tablist" aria-label="How far back">
          {SPANS.map((span) => (
            <button key={span} type="button" role="tab" aria-selected={span === seconds} onClick={() => setSeconds(span)}>
              {span / 60} min
            </button>
          ))}
        </div>
      </div>
      {seen.length < 2 ? (
        <Empty>Figures come once a second; the charts begin with the second one.</Empty>
      ) : (
        <div class="scroll">
          <Doors figures={seen.at(-1)?.figures} />
          <div class="charts">
            {counted(seen.at(-1)).map((chart) => (
              <ChartView key={chart.title} chart={chart} seen={seen} seconds={seconds} />
            ))}
          </div>
        </div>
      )}
    </section>
  );
}

/** Charts and lines of what this gateway counts. */
function counted(sample: Sample | undefined): Chart[] {
  const has = ({ of }: Line) => sample !== undefined && of(sample.figures) !== undefined;
  return CHARTS.map((chart) => ({ ...chart, lines: chart.lines.filter(has) })).filter(({ lines }) => lines.length);
}

function Doors({ figures }: { figures: Figures | undefined }) {
  const doors = Object.entries(figures?.by_door ?? {}).filter(([, open]) => open > 0);
  if (!doors.length) return null;
  return (
    <p class="aside">
      Open now: {doors.map(([door, open]) => `${count(open)} ${door}`).join(", ")}; {count(figures?.channels)} channels.
    </p>
  );
}

const SCHEME = matchMedia("(prefers-color-scheme: dark)");

function ChartView({ chart, seen, seconds }: { chart: Chart; seen: Sample[]; seconds: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const newest = useRef<(number | null)[]>([]);
  const [, redraw] = useState(0);
  const data = useMemo(() => dataOf(chart, seen), [seen.at(-1)?.at, seen.length, seconds]);
  newest.current = data.slice(1).map((line) => line.at(-1) ?? null);
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      if (box.current) plot.current = drawn(chart, box.current, data);
    };
    make();
    const observer = new ResizeObserver(() => {
      const width = box.current?.clientWidth;
      if (width) plot.current?.setSize({ width, height: HEIGHT });
    });
    if (box.current) observer.observe(box.current);
    SCHEME.addEventListener("change", make);
    redraw(1);
    return () => {
      observer.disconnect();
      SCHEME.removeEventListener("change", make);
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [data]);
  return (
    <figure class="chart" title={chart.hint}>
      <figcaption>
        <h2>{chart.title}</h2>
        {chart.lines.map((line, at) => (
          <span key={line.label} class={`line-${at}`}>
            {line.label} <b>{newest.current[at] === null ? "–" : chart.unit(newest.current[at] ?? 0)}</b>
          </span>
        ))}
      </figcaption>
      <div ref={box} />
    </figure>
  );
}

function dataOf(chart: Chart, seen: Sample[]): uPlot.AlignedData {
  const times = seen.map(({ at }) => at / 1000);
  const lines = chart.lines.map((line) => {
    const values = seen.map(({ figures }) => line.of(figures) || 0);
    return line.rate ? slopes(times, values) : values;
  });
  return [times, ...lines];
}

const HEIGHT = 150;
/** Steps of an axis that counts things: there is no half of one. */
const WHOLE = [1, 2, 5].flatMap((step) => Array.from({ length: 9 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b);

function drawn(chart: Chart, box: HTMLElement, data: uPlot.AlignedData): uPlot {
  const style = getComputedStyle(box);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: colour("--chart-text"), font, grid: { stroke: colour("--chart-grid"), width: 1 }, ticks: { show: false } };
  const lines = chart.lines.map((line, at) => ({
    label: line.label,
    stroke: colour(`--line-${at}`),
    width: 1.5,
    points: { show: false },
    ...(at === 0 && { fill: colour("--line-fill") }),
  }));
  return new uPlot(
    {
      width: box.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, sync: { key: "figures" }, drag: { x: false, y: false } },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : chart.unit === bytes ? 1024 : 1] } },
      axes: [
        { ...axis, size: 22, space: 70, values: (_, splits) => splits.map((at) => new Date(at * 1000).toTimeString().slice(0, 8)) },
        { ...axis, ...(chart.unit === count && { incrs: WHOLE }), size: 64, space: 34, values: (_, splits) => splits.map((value) => chart.unit(value)) },
      ],
      series: [{}, ...lines],
    },
    data,
    box,
  );
}
