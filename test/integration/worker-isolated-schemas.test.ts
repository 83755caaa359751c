import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Json } from '../../server/engine/engine.ts'
import type { JobDefinition } from '../../server/jobs/define-job.ts'
import { rememberModule } from '../../server/jobs/module.ts'
import { loadJobs } from '../../server/load-jobs.ts'
import { openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

const JOBS = fileURLToPath(new URL('../helpers/classy-jobs.mjs', import.meta.url))
const CLASSES = { site: 'http://b.example/c', price: '1.25', greet: 'hello', bytes: 'aGk=' }
const CLONES = { at: '2026-01-02T03:04:05.000Z', tags: ['a', 'b', 'a'], big: '9007199254740993' }

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

async function endOf(type: string, payload: Json) {
  return endAmong(await loadJobs([JOBS]), type, payload)
}

async function endAmong(definitions: readonly JobDefinition[], type: string, payload: Json) {
  await bench.work(definitions)
  return bench.ended(await bench.submit(type, payload))
}

/** Equal definitions that no jobs file is known to have. */
async function copies(): Promise<JobDefinition[]> {
  return (await loadJobs([JOBS])).map((definition) => ({ ...definition }))
}

describe('an isolated handler whose schema transforms', () => {
  test('gets what it would get in process, and its result what the schema makes of it', async () => {
    const here = await endOf('classes-here', CLASSES)
    const there = await endOf('classes-there', CLASSES)
    const seen = {
      site: [true, 'b.example'],
      price: [true, 125],
      greeting: 'hello you',
      bytes: [true, 'hi'],
      link: 'http://a.example/b',
      definitionsLoaded: true,
    }
    expect(here.result).toEqual({ ...seen, isMainThread: true })
    expect(there.result).toEqual({ ...seen, isMainThread: false })
  })

  test('is handed what can be copied, so that its thread need not load the definitions', async () => {
    const here = await endOf('clones-here', CLONES)
    const there = await endOf('clones-there', CLONES)
    const seen = {
      at: [true, Date.parse(CLONES.at)],
      tags: [true, 'a', 'b'],
      big: '9007199254740994',
    }
    expect(here.result).toEqual({ ...seen, isMainThread: true, definitionsLoaded: true })
    expect(there.result).toEqual({ ...seen, isMainThread: false, definitionsLoaded: false })
  })

  test('fails once and for all where no thread can find the schema, and says what to do', async () => {
    const nowhere = await endAmong(await copies(), 'classes-there', CLASSES)
    expect(nowhere).toMatchObject({ status: 'failed', errorCode: 'unrecoverable', attempt: 1 })
    expect(nowhere.error).toMatch(/holds a URL at "site".*JOBCAST_JOBS/)
  })

  test('fails likewise where the module that a thread loads does not have its type', async () => {
    const definitions = await copies()
    for (const one of definitions) rememberModule(one, 'data:text/javascript,export default []')
    const gone = await endAmong(definitions, 'classes-there', CLASSES)
    expect(gone).toMatchObject({ status: 'failed', errorCode: 'unrecoverable', attempt: 1 })
    expect(gone.error).toMatch(/data:text.* has no schema of type "classes-there"/)
  })

  test('fails with an invalid payload where the schema says so in the thread', async () => {
    const refused = await endOf('refused-there', {})
    expect(refused).toMatchObject({ status: 'failed', errorCode: 'invalid_payload', attempt: 1 })
    expect(refused.error).toBe('invalid payload: greet: not here')
  })
})
