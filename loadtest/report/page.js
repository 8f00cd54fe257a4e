// Each figure's JSON becomes lines. Colours come from the page, so they follow dark and light.
"use strict";

const HEIGHT_PX = 260;
const COLOURS = 8;
const LABEL_PX_MIN = 46;
const NINES_MAX = 6; // of a percentile axis: 99.9999
const dark = matchMedia("(prefers-color-scheme: dark)");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const shown = (value) =>
  value == null ? "–" : Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });

// 0, 90, 99, 99.9 … stand equally far apart; what is beyond the last nine stands on it.
const nines = (percent) => Math.min(NINES_MAX, -Math.log10(Math.max(1 - percent / 100, 1e-12)));
const percent = (count) => 100 * (1 - 10 ** -count);
const PERCENTILES = [0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999];

const whole = (_, min, max) => (min === max ? [min === 0 ? -1 : min / 2, max === 0 ? 1 : max * 1.5] : [min, max]);

function xScale(plot) {
  if (plot.percentiles) return { time: false, distr: 100, fwd: nines, bwd: percent };
  const positive = plot.x.every((x) => x > 0);
  return { time: false, distr: plot.log_x && positive ? 3 : 1, range: whole };
}

function xSplits(plot) {
  const inside = (marks, min, max) => marks.filter((mark) => mark >= min && mark <= max);
  if (plot.percentiles) return (_, __, min, max) => inside(PERCENTILES, min, max);
  if (plot.log_x && plot.x.length <= 12) return (_, __, min, max) => inside(plot.x, min, max);
  return undefined;
}

// Where one stands too near the last one, it stays unnamed.
function named(chart, splits) {
  let last = -Infinity;
  return splits.map((split) => {
    const at = split == null ? NaN : chart.valToPos(split, "x");
    if (!(at - last >= LABEL_PX_MIN)) return "";
    last = at;
    return Number(split.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 });
  });
}

function drawn(plot, into) {
  const positive = (y) => (plot.log_y && y <= 0 ? null : y);
  const rows = [plot.x, ...plot.lines.map((line) => plot.x.map((_, at) => positive(line.values[at] ?? null)))];
  const order = plot.x.map((_, at) => at).sort((one, other) => plot.x[one] - plot.x[other]);
  const axis = (label, more) => ({
    label, labelSize: 22, labelFont: "12px system-ui, sans-serif", font: "12px system-ui, sans-serif",
    stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") },
    values: (_, splits) => splits.map((split) => (split == null ? "" : shown(split))), ...more,
  });
  const splits = xSplits(plot);
  return new uPlot(
    {
      width: into.clientWidth, height: HEIGHT_PX,
      cursor: { y: false, drag: { x: true, y: false } },
      scales: { x: xScale(plot), y: { distr: plot.log_y ? 3 : 1, range: plot.log_y ? undefined : fromZero } },
      axes: [axis(plot.x_label, splits ? { splits, filter: (_, all) => all, values: named } : {}), axis(plot.y_label, { size: 64 })],
      series: [
        { label: plot.x_label, value: (_, x) => shown(x) },
        ...plot.lines.map((line, at) => ({
          label: line.label, width: 2, spanGaps: false, value: (_, y) => shown(y),
          stroke: colour(`series-${1 + (at % COLOURS)}`), dash: at < COLOURS ? undefined : [6, 4],
        })),
      ],
    },
    rows.map((row) => order.map((at) => row[at])),
    into,
  );
}

// A cost or a latency is read by its height, so the axis begins at nothing.
const fromZero = (_, min, max) => {
  const top = Math.max(max ?? 0, 0);
  const bottom = Math.min(min ?? 0, 0);
  return bottom === top ? [0, 1] : [bottom * 1.05, top * 1.08];
};

for (const into of document.querySelectorAll(".plot")) {
  const plot = JSON.parse(into.nextElementSibling.textContent);
  let chart = drawn(plot, into);
  const again = () => {
    chart.destroy();
    chart = drawn(plot, into);
  };
  dark.addEventListener("change", again);
  addEventListener("beforeprint", again);
  let width = into.clientWidth;
  new ResizeObserver(() => {
    if (into.clientWidth === width || into.clientWidth === 0) return;
    width = into.clientWidth;
    chart.setSize({ width, height: HEIGHT_PX });
  }).observe(into);
}
