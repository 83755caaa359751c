/** A result of harness/measure.mjs as a Markdown table. */
export function toTable({ title, rounds, figures }) {
  const contenders = [...new Set(figures.flatMap(({ medians }) => Object.keys(medians)))]
  const [, ...peers] = contenders
  const head = [
    `median of ${rounds}`,
    ...contenders,
    ...peers.map((peer) => `ratio to ${peer}`),
    'target',
    '',
  ]
  const rows = figures.map(({ what, unit, medians, ratios, targets }) => [
    `${what}, ${unit}`,
    ...contenders.map((name) => (name in medians ? number(medians[name]) : '–')),
    ...peers.map((peer) => (peer in ratios ? ratio(ratios[peer]) : '–')),
    targets.map(targetText).join(', '),
    targets.map(({ met, value }) => (met ? 'met' : `missed: ${number(value)}`)).join(', '),
  ])
  return [`### ${title}`, '', ...markdown(head, rows), ''].join('\n')
}

function markdown(head, rows) {
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at].length)))
  const line = (cells) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join(' | ')} |`
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)]
}

function targetText({ to, toFigure, atLeast, atMost, atMostMore }) {
  if (atMostMore !== undefined) return `≤ ${to ?? toFigure} + ${number(atMostMore)}`
  const bound = atLeast === undefined ? `≤ ${number(atMost)}` : `≥ ${number(atLeast)}`
  const other = to ?? toFigure
  return other === undefined ? bound : `${bound}x ${other}`
}

function ratio({ median, min, max }) {
  return `${number(median)} (${number(min)}–${number(max)})`
}

/** Three digits that count. */
function number(value) {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}
