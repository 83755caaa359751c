import type { Trial } from './trial.ts'

/** What a soak run found, a row a fault and engine, as a Markdown table. */
export function renderTable(trials: readonly Trial[]): string {
  const rows = new Map<string, Trial[]>()
  for (const trial of trials) {
    const name = `${trial.fault} | ${trial.engine}`
    rows.set(name, [...(rows.get(name) ?? []), trial])
  }
  const lines = [...rows].map(([name, of]) => `| ${[name, ...cellsOf(of)].join(' | ')} |`)
  return [...HEAD, ...lines, ''].join('\n')
}

const HEAD = [
  '| fault | engine | repetitions | failed | jobs | lost | doubled | run again | healed, p50 | healed, longest |',
  '|---|---|---|---|---|---|---|---|---|---|',
]

function cellsOf(trials: readonly Trial[]): (string | number)[] {
  const sum = (count: (trial: Trial) => number) => trials.reduce((total, trial) => total + count(trial), 0)
  const healed = trials.flatMap(({ healMs }) => (healMs === null ? [] : [healMs])).sort((a, b) => a - b)
  return [
    sum(({ times }) => times),
    sum(({ failure }) => (failure === null ? 0 : 1)),
    sum(({ jobs }) => jobs),
    sum(({ lost }) => lost),
    sum(({ doubled }) => doubled),
    sum(({ again }) => again),
    seconds(healed[Math.ceil(healed.length / 2) - 1]),
    seconds(healed.at(-1)),
  ]
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '–' : `${(ms / 1000).toFixed(1)} s`
}
