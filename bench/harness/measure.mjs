/**
 * A case measures a few figures of several contenders, side by side:
 *
 * @typedef {object} Case
 * @property {string} name as given to `npm run bench -- NAME`
 * @property {string} title
 * @property {number} [rounds] five where left out
 * @property {() => Promise<any>} [setUp] what all rounds share; has a `tearDown`
 * @property {Record<string, (shared: any, round: number) => Promise<Record<string, number>>>} contenders name -> one round
 *   of it: figure -> value. The first one is Jobcast, which the others are compared with.
 * @property {readonly Figure[]} figures
 *
 * @typedef {object} Figure
 * @property {string} id
 * @property {string} what
 * @property {string} unit
 * @property {readonly Target[]} [targets]
 *
 * A target is a ratio to another contender (or to another figure of Jobcast's: `toFigure`), with `atMostMore` how much
 * more than the other it may be, or an absolute value.
 * @typedef {{ to?: string, toFigure?: string, atLeast?: number, atMost?: number, atMostMore?: number }} Target
 */

/** Runs all rounds of a case, the contenders in turn, in the opposite order every other round. */
export async function measure(one, { rounds = one.rounds ?? 5, note = () => {} } = {}) {
  const shared = (await one.setUp?.()) ?? {}
  const names = Object.keys(one.contenders)
  const samples = Object.fromEntries(names.map((name) => [name, []]))
  try {
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? names : names.toReversed()
      for (const name of order) {
        note(`${one.name}: round ${round + 1} of ${rounds}, ${name}`)
        samples[name].push(await one.contenders[name](shared, round))
      }
    }
  } finally {
    await shared.tearDown?.()
  }
  return summarize(one, samples)
}

function summarize({ name, title, figures }, samples) {
  const [own = '', ...peers] = Object.keys(samples)
  const valuesOf = (contender, id) => samples[contender].flatMap((sample) => sample[id] ?? [])
  return {
    name,
    title,
    rounds: samples[own].length,
    figures: figures.map(({ id, what, unit, targets = [] }) => ({
      what,
      unit,
      medians: Object.fromEntries(
        [own, ...peers].flatMap((contender) => {
          const values = valuesOf(contender, id)
          return values.length === 0 ? [] : [[contender, median(values)]]
        }),
      ),
      // Round by round, so that a machine that slows down in the middle slows both.
      ratios: Object.fromEntries(
        peers.flatMap((peer) => {
          const ratios = paired(samples[own], id, samples[peer], id)
          return ratios.length === 0 ? [] : [[peer, spread(ratios)]]
        }),
      ),
      targets: targets.map((target) => verdict(target, id, own, samples)),
    })),
  }
}

function verdict(target, id, own, samples) {
  const { to, toFigure, atLeast, atMost, atMostMore } = target
  const mine = samples[own]
  const compare = atMostMore === undefined ? quotient : difference
  let value
  if (to !== undefined) value = median(paired(mine, id, samples[to], toFigure ?? id, compare))
  else if (toFigure !== undefined) value = median(paired(mine, id, mine, toFigure, compare))
  else value = median(mine.map((sample) => sample[id]))
  const most = atMost ?? atMostMore
  const met = (atLeast === undefined || value >= atLeast) && (most === undefined || value <= most)
  return { ...target, value, met }
}

function paired(mine, id, theirs, otherId, compare = quotient) {
  return mine.flatMap((sample, round) => {
    const other = theirs[round]?.[otherId]
    return sample[id] === undefined || other === undefined ? [] : [compare(sample[id], other)]
  })
}

const quotient = (mine, theirs) => mine / theirs
const difference = (mine, theirs) => mine - theirs

function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

export function median(values) {
  return percentile(values, 0.5)
}

/** Of values in any order; `share` from 0 to 1. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort()
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}
