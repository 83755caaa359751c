import { MAX_PLACE } from '../../../shared/limits.ts'
import type { Place, PlaceAnswers, PlaceQuestion } from '../engine.ts'
import { isJobId } from '../job/ids.ts'
import type { Commands } from './commands.ts'
import type { Partition } from './keys.ts'
import { list, text, whole } from './reply.ts'
import { SCRIPTS } from './scripts.ts'

/** Jobs of one call of the script, which takes about 1 ms then. */
const MOST_PLACES = 250
const NOT_QUEUED = '-'

/** Asks for the places of any number of jobs, some at a time, so that nobody waits long in between. */
export async function readPlaces(
  commands: Commands,
  partition: Partition,
  jobs: readonly PlaceQuestion[],
): Promise<PlaceAnswers> {
  const found = new Map<string, Place>()
  const known = jobs.filter(({ jobId }) => isJobId(jobId))
  let now = Date.now()
  for (let first = 0; first < known.length; first += MOST_PLACES) {
    const groups = byType(known.slice(first, first + MOST_PLACES))
    const args = [...groups].flatMap(([type, jobIds]) => [type, jobIds.length, ...jobIds])
    const { reply } = await commands.read(SCRIPTS.places, partition, args)
    const [clock, ...cells] = list(reply)
    now = whole(clock)
    collect([...groups.values()].flat(), cells, found)
  }
  return { now, places: jobs.map(({ jobId }) => found.get(jobId) ?? null) }
}

function byType(jobs: readonly PlaceQuestion[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const { jobId, type } of jobs) {
    const group = groups.get(type ?? '')
    if (group === undefined) groups.set(type ?? '', [jobId])
    else group.push(jobId)
  }
  return groups
}

/** What the script says of each group (lua/places.lua), job by job. */
function collect(jobIds: readonly string[], cells: readonly unknown[], found: Map<string, Place>): void {
  let job = 0
  for (let at = 0; at < cells.length; at += 3) {
    const type = text(cells[at])
    const paused = whole(cells[at + 1]) === 1
    for (const rank of text(cells[at + 2]).split(' ')) {
      const jobId = jobIds[job++]
      if (jobId === undefined || rank === NOT_QUEUED) continue
      const place = whole(rank) + 1
      found.set(jobId, { type, place: place > MAX_PLACE ? null : place, paused })
    }
  }
}
