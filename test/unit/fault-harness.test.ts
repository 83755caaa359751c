import { describe, expect, test } from 'vitest'
import type { JobEvent } from '../../shared/event.ts'
import type { Job } from '../../shared/job.ts'
import type { JobStatus } from '../../shared/status.ts'
import { type Footprint, growth, heapGrowth } from '../fault/harness/footprint.ts'
import { breachesOfJob, breachesOfLog, isDoubled } from '../fault/harness/invariants.ts'
import type { RunNote } from '../fault/harness/runs.ts'
import { renderTable } from '../fault/harness/table.ts'
import { RespSplitter, wordsOf } from '../helpers/resp.ts'
import { breachesOfOrder, type Sighting } from '../helpers/subscriber/sightings.ts'

const AT = '2026-11-25T00:00:00.000Z'
const job = (seq: number, status: JobStatus = 'queued', result: Job['result'] = null) =>
  ({ jobId: 'j', status, result, cursor: `e.${seq}` }) as Job
const status = (seq: number, to: JobStatus): JobEvent => ({
  seq,
  at: AT,
  kind: 'status',
  data: { status: to },
})
const log = (seq: number): JobEvent => ({ seq, at: AT, kind: 'log', data: { level: 'info', line: 'x' } })
const progress = (seq: number): JobEvent => ({
  seq,
  at: AT,
  kind: 'progress',
  data: { percent: 1, note: null },
})

const snapshot = (seq: number, reason: 'new' | 'epoch' = 'new', epoch = 'e'): Sighting => ({
  saw: 'snapshot',
  reason,
  epoch,
  job: job(seq),
})
const saw = (event: JobEvent, prev: number | null = event.seq - 1): Sighting => ({
  saw: 'event',
  event,
  prev,
})
const END: Sighting = { saw: 'end' }

const HISTORY = [status(1, 'queued'), status(2, 'processing'), log(3), progress(4), status(5, 'completed')]

describe('what a subscriber may see', () => {
  test('every event in order, merged progress left out, and the end', () => {
    const sightings = [
      snapshot(1),
      saw(status(2, 'processing')),
      saw(log(3)),
      saw(status(5, 'completed'), 3),
      END,
    ]
    expect(breachesOfOrder(sightings, HISTORY)).toEqual([])
  })

  test('a snapshot of another epoch in between', () => {
    const sightings = [
      snapshot(3),
      snapshot(2, 'epoch', 'f'),
      saw(log(3)),
      saw(status(5, 'completed'), 3),
      END,
    ]
    expect(breachesOfOrder(sightings, HISTORY)).toEqual([])
  })

  test.each<[string, Sighting[]]>([
    ['log event 3 was never shown', [snapshot(2), saw(status(5, 'completed'), null), END]],
    ['event 3 came after 3', [snapshot(3), saw(log(3), 3)]],
    ['event 3 follows 1, the last was 2', [snapshot(2), saw(log(3), 1)]],
    ['went back from 3 to 2', [snapshot(3), { ...snapshot(2), reason: 'trimmed' } as Sighting]],
    ['a snapshot without a reason', [snapshot(3), snapshot(3)]],
    ['the end came without a terminal status', [snapshot(3), END]],
    [
      'event 6 came after the terminal one',
      [snapshot(4), saw(status(5, 'completed')), saw(status(6, 'completed'))],
    ],
  ])('%s', (breach, sightings) => {
    expect(breachesOfOrder(sightings, HISTORY)).toContain(breach)
  })
})

describe('what may become of a job', () => {
  const run = (name: string, what: RunNote['what']): RunNote => ({
    jobId: 'j',
    attempt: 1,
    run: name,
    what,
    pid: 1,
  })
  const rescued = [
    ...HISTORY.slice(0, 2),
    status(3, 'queued'),
    status(4, 'processing'),
    status(5, 'completed'),
  ]

  test('it runs again after it was taken back, and the last run makes its result', () => {
    const outcome = { job: job(5, 'completed', { run: 'b' }), history: rescued }
    expect(breachesOfJob(outcome, [run('a', 'begun'), run('b', 'begun')])).toEqual([])
  })

  test('the result of a run that was taken back is a breach, as are more runs than claims', () => {
    const outcome = { job: job(5, 'completed', { run: 'a' }), history: rescued }
    const runs = ['a', 'b', 'c'].map((name) => run(name, 'begun'))
    expect(breachesOfJob(outcome, runs)).toEqual([
      'began 3 times after 2 claims',
      'ended with the result of a stale run',
    ])
  })

  test('lost, left over and settled twice are breaches', () => {
    expect(breachesOfJob(null, [])).toEqual(['is lost'])
    expect(breachesOfJob({ job: job(1), history: HISTORY.slice(0, 1) }, [])).toEqual(['is queued'])
    expect(isDoubled([...HISTORY, status(6, 'failed')])).toBe(true)
    expect(isDoubled(rescued)).toBe(false)
  })

  test('a log line that nobody foresaw is a breach, unless the fault is meant to bring it about', () => {
    const lines =
      '{"level":30,"msg":"store available"}\n{"level":50,"where":"here","msg":"failure"}\nTypeError: x\n'
    expect(breachesOfLog(lines, [])).toEqual(['{"level":50,"where":"here","msg":"failure"}', 'TypeError: x'])
    expect(breachesOfLog(lines, [/"where":"here"/, /^TypeError/])).toEqual([])
  })
})

test('the table of a soak run adds up its trials', () => {
  const trial = { fault: 'a fault', engine: 'redis', times: 1, failure: null, doubled: 0 } as const
  const table = renderTable([
    { ...trial, jobs: 10, lost: 0, again: 1, healMs: 1000 },
    { ...trial, jobs: 20, lost: 1, again: 0, healMs: 3040, failure: 'it hung' },
    { ...trial, engine: 'sqlite', jobs: 5, lost: 0, again: 0, healMs: null },
  ])
  expect(table.split('\n').slice(2)).toEqual([
    '| a fault | redis | 2 | 1 | 30 | 1 | 0 | 1 | 1.0 s | 3.0 s |',
    '| a fault | sqlite | 1 | 0 | 5 | 0 | 0 | 0 | – | – |',
    '',
  ])
})

test('a stream of Redis values is cut into whole ones, however it arrives', () => {
  const values = [
    '*2\r\n$4\r\nPING\r\n$-1\r\n',
    '>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n\r\n\r\n\r\n',
    '%1\r\n+a\r\n:1\r\n',
    '-ERR no\r\n',
    '*0\r\n',
  ]
  const stream = Buffer.from(values.join(''))
  for (const size of [1, 7, stream.length]) {
    const splitter = new RespSplitter()
    const cut: string[] = []
    for (let from = 0; from < stream.length; from += size) {
      cut.push(...splitter.push(stream.subarray(from, from + size)).map(String))
    }
    expect(cut).toEqual(values)
  }
  expect(wordsOf(Buffer.from(values[1] ?? ''))).toEqual(['message', 'c', '\r\n\r\n'])
})

describe('what may be left behind', () => {
  const before: Footprint = {
    openFiles: [30, 30],
    timers: [5, 5],
    connections: 0,
    subscriptions: 0,
    leftovers: ['types'],
  }

  test('what there was before, and a little of what comes and goes', () => {
    expect(growth(before, before)).toEqual([])
    expect(growth(before, { ...before, openFiles: [32, 28] })).toEqual([])
  })

  test('no more memory than code takes', () => {
    expect(heapGrowth([16e6, 17e6], [19e6, 12e6])).toEqual([])
    expect(heapGrowth([16e6, 17e6], [16e6, 26e6])).toEqual([
      'process 1 holds 26000000 bytes, more than 25000000',
    ])
  })

  test('no files, connections, subscriptions or entries of the store', () => {
    expect(growth(before, { ...before, openFiles: [34, 30] })).toEqual([
      'process 0 has 34 open files, more than 33',
    ])
    expect(growth(before, { ...before, connections: 1, subscriptions: 2 })).toHaveLength(2)
    expect(growth(before, { ...before, leftovers: ['types', 'job:1'] })).toEqual(['left in the store: job:1'])
  })
})
