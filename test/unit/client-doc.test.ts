import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createClient } from '../../client/index.ts'
import * as react from '../../client/react/index.ts'
import * as stores from '../../client/stores/index.ts'
import { JOB_OPTIONS, JobStore } from '../../client/stores/job-store.ts'
import * as vue from '../../client/vue/index.ts'

const page = readFileSync('docs/client.md', 'utf8')

/** Everything that stands between backticks: `name`, `name(…)`, `name<…>(…)`, `name: …`. */
const told = new Set([...page.matchAll(/`([A-Za-z]+)[^`]*`/g)].map(([, name]) => name))
const untold = (names: readonly string[]) => names.filter((name) => !told.has(name))

/** As the error says that names them all. */
function optionsOf(call: (options: object) => unknown): string[] {
  try {
    call({ no: 1 })
  } catch (error) {
    return /there are (.*)$/.exec(String(error))?.[1]?.split(', ') ?? []
  }
  return []
}

describe('the list of the client', () => {
  const client = createClient({ baseUrl: 'http://server' })

  it('has all options and methods', () => {
    const options = optionsOf(createClient)
    expect(options).toContain('baseUrl')
    expect(untold(options)).toEqual([])
    expect(untold(optionsOf((options) => client.watch('j1', options)))).toEqual([])
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(client))
    expect(methods).toContain('submit')
    expect(untold(methods.filter((name) => name !== 'constructor'))).toEqual([])
  })

  it('has all hooks, components and stores, and what a job is asked for and tells', () => {
    expect(untold([react, stores, vue].flatMap((entry) => Object.keys(entry)))).toEqual([])
    expect(untold(Object.keys(JOB_OPTIONS))).toEqual([])
    expect(untold(Object.keys(new JobStore(client).getSnapshot()))).toEqual([])
  })
})
