// The queue since this page was opened: how many wait, and how late the latest of them is.
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { history } from './history.js';
import { clock, plural, span } from './words.js';

const SERIES = [
  ['due', 'Due', 'a', []],
  ['publishing', 'Publishing', 'b', [6, 4]],
  ['latenessSeconds', 'Late by', 'c', [2, 3]],
];

export function QueueChart({ queue }) {
  const place = useRef();
  const plot = useRef();

  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const element = place.current;
    const draw = () => {
      plot.current?.destroy();
      plot.current = makePlot(element);
    };
    const fit = new ResizeObserver(() => plot.current.setSize(sizeOf(element)));
    draw();
    fit.observe(element);
    dark.addEventListener('change', draw);
    return () => {
      fit.disconnect();
      dark.removeEventListener('change', draw);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData(readHistory()), [queue.asOf]);

  return (
    <figure class="chart">
      <div ref={place} aria-hidden="true" />
      <figcaption>
        <ul class="legend" aria-hidden="true">
          {SERIES.map(([key, label, tone]) => (
            <li key={key} class={`line-${tone}`}>
              {label}
            </li>
          ))}
        </ul>
        <span class="unseen">{tell(queue)}</span>
      </figcaption>
    </figure>
  );
}

// The same for those who do not see it.
function tell(queue) {
  const most = Math.max(...history().map((point) => point.due), queue.due);
  const latest = Math.max(...history().map((point) => point.latenessSeconds), queue.latenessSeconds);
  return `Now ${plural(queue.due, 'target')} due, ${span(queue.latenessSeconds)} late. Since this page was opened at most ${most} due, ${span(latest)} late.`;
}

function readHistory() {
  const points = history();
  return [points.map((point) => point.at), ...SERIES.map(([key]) => points.map((point) => point[key]))];
}

// From the first answer to the last, a minute at least. uPlot's own idea of a single point is a day.
function readSpan() {
  const points = history();
  const last = points.at(-1)?.at ?? Date.now() / 1000;
  return [Math.min(points[0]?.at ?? last, last - 60), last];
}

const sizeOf = (place) => ({ width: place.clientWidth, height: 220 });

// A canvas knows no custom properties: an element has to wear one for its colour to be told.
function colours(place) {
  return (name) => {
    place.style.color = `var(--${name})`;
    const told = getComputedStyle(place).color;
    place.style.color = '';
    return told;
  };
}

function makePlot(place) {
  const colour = colours(place);
  const font = `12px ${getComputedStyle(place).fontFamily}`;
  const axis = {
    stroke: colour('quiet'),
    font,
    grid: { stroke: colour('hairline'), width: 1 },
    ticks: { show: false },
  };
  const whole = (plot, low, high) => [0, Math.max(4, Math.ceil(1.15 * (high ?? 0)))];
  return new UPlot(
    {
      ...sizeOf(place),
      legend: { show: false },
      cursor: { show: false },
      padding: [12, 4, 0, 4],
      scales: {
        x: { range: readSpan },
        y: { range: whole },
        late: { range: whole },
      },
      axes: [
        {
          ...axis,
          size: 32,
          grid: { show: false },
          space: 90,
          values: (plot, ticks) => ticks.map((tick) => clock(1000 * tick)),
        },
        { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6] },
        {
          ...axis,
          scale: 'late',
          side: 1,
          size: 52,
          grid: { show: false },
          values: (plot, ticks) => ticks.map((tick) => `${tick} s`),
        },
      ],
      series: [
        {},
        ...SERIES.map(([key, label, tone, dash]) => ({
          label,
          dash,
          scale: key === 'latenessSeconds' ? 'late' : 'y',
          stroke: colour(`line-${tone}`),
          width: 2,
          points: { show: false },
        })),
      ],
    },
    readHistory(),
    place,
  );
}
