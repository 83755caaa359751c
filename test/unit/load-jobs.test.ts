import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { JobsFileError, loadJobs } from '../../server/load-jobs.ts'
import { createProject } from '../helpers/command.ts'

type Project = Awaited<ReturnType<typeof createProject>>
let project: Project | null = null
afterEach(() => project?.remove())

/** The project's jobs, or how loading them failed. */
async function load(files: Readonly<Record<string, string>>, ...names: string[]) {
  project = await createProject(files)
  const { path } = project
  return loadJobs(names.map((name) => join(path, name)))
}

async function failure(files: Readonly<Record<string, string>>, ...names: string[]): Promise<JobsFileError> {
  const error = await load(files, ...names).then(
    () => null,
    (error: unknown) => error,
  )
  if (error instanceof JobsFileError) return error
  throw new Error(`it did not fail as it should: ${error}`)
}

const JOB = (type: string) => `{ type: '${type}', run: () => null }`

describe('a jobs file in TypeScript', () => {
  test('has all that bundlers let it have: paths, enums, no extensions, decorators, JSON, CommonJS, awaits', async () => {
    const [job] = await load(
      {
        'package.json': '{}',
        'tsconfig.json': '{ // as it is often written\n "extends": "./base.json", }',
        'base.json':
          '{ "compilerOptions": { "paths": { "@/*": ["./src/*"] }, "experimentalDecorators": true } }',
        'src/jobs.ts': `
          import 'server-only'
          import { defineJob, UnrecoverableError } from 'jobcast'
          import { z } from 'zod'
          import { Unit, type Size } from '@/lib/size'
          import settings from './settings.json'
          import legacy from './legacy.cjs'
          import { fromFolder } from './lib'
          const { extname } = await import('node:path')
          export const resize = defineJob({
            type: 'resize',
            payload: z.object({ width: z.number() }),
            run: ({ width }): Size & Record<string, unknown> => ({
              width, unit: Unit.Pixel, settings, legacy, fromFolder, extension: extname(import.meta.url),
              known: new UnrecoverableError('x').name,
            }),
          })
          export const jobs = [resize]`,
        'src/lib/size.ts': `
          export enum Unit { Pixel = 'px' }
          export interface Size { width: number; unit: Unit }
          function sealed(target: unknown): void { Object.seal(target) }
          @sealed export class Frame { constructor(private readonly size?: Size) {} }`,
        'src/lib/index.ts': `export const fromFolder: boolean = true`,
        'src/settings.json': '{ "quality": 80 }',
        'src/legacy.cjs': `module.exports = { old: true }`,
      },
      'src/jobs.ts',
    )
    expect(await Reflect.apply(job?.run ?? (() => {}), null, [{ width: 3 }])).toEqual({
      width: 3,
      unit: 'px',
      settings: { quality: 80 },
      legacy: { old: true },
      fromFolder: true,
      extension: '.ts',
      known: 'UnrecoverableError',
    })
  })

  test('finds what a Vite app calls by its aliases, which are in another configuration', async () => {
    const jobs = await load(
      {
        'tsconfig.json': '{ "files": [], "references": [{ "path": "./tsconfig.app.json" }] }',
        'tsconfig.app.json': '{ "compilerOptions": { "paths": { "~/*": ["./src/*"] } } }',
        'src/jobs.ts': `import { name } from '~/name'\nexport const a = { type: name, run() {} }`,
        'src/name.ts': `export const name: string = 'aliased'`,
      },
      'src/jobs.ts',
    )
    expect(jobs.map(({ type }) => type)).toEqual(['aliased'])
  })

  test('in JavaScript that leaves extensions out, as bundlers take it', async () => {
    const jobs = await load(
      {
        'jobs.mjs': `import { name } from './name'\nexport default [{ type: name, run() {} }]`,
        'name.ts': `export const name: string = 'bare'`,
      },
      'jobs.mjs',
    )
    expect(jobs.map(({ type }) => type)).toEqual(['bare'])
  })

  test.each([
    ['a default export', `export default [${JOB('a')}]\nexport const jobs = [${JOB('b')}]`, ['a']],
    ['an array named jobs', `export const jobs = [${JOB('b')}]\nexport const c = ${JOB('c')}`, ['b']],
    [
      'every definition',
      `export const b = ${JOB('b')}\nexport const c = ${JOB('c')}\nexport const d = 1`,
      ['b', 'c'],
    ],
    ['what was compiled to CommonJS', `exports.__esModule = true\nexports.jobs = [${JOB('e')}]`, ['e']],
  ])('is taken by %s', async (_what, text, types) => {
    const name = text.startsWith('exports') ? 'jobs.cjs' : 'jobs.ts'
    expect((await load({ [name]: text }, name)).map(({ type }) => type)).toEqual(types)
  })

  test('may export again what another one does', async () => {
    const files = {
      'a.ts': `export const a = ${JOB('a')}`,
      'b.ts': `export { a } from './a'\nexport const b = ${JOB('b')}`,
    }
    expect((await load(files, 'a.ts', 'b.ts')).map(({ type }) => type)).toEqual(['a', 'b'])
  })
})

describe('a jobs file that is wrong is told of with its place', () => {
  test.each([
    ['does not parse', { 'jobs.ts': 'const a = 1\nconst b: = 2' }, 'jobs.ts', 2, /Unexpected token/],
    ['imports what does not parse', { 'jobs.ts': "import './b'", 'b.ts': '\n\nlet 5' }, 'b.ts', 3, /./],
    [
      'throws',
      { 'jobs.ts': 'export const a: number = 1\nthrow new Error("no config")' },
      'jobs.ts',
      2,
      /^no config$/,
    ],
    [
      'throws deeper',
      { 'jobs.ts': "import './b'", 'b.ts': '\nfunction f(): never { throw new Error("deep") }\nf()' },
      'b.ts',
      2,
      /^deep$/,
    ],
    [
      'misses a package',
      { 'package-lock.json': '{}', 'jobs.ts': "import { q } from 'no-such'\nexport const jobs = [q]" },
      'jobs.ts',
      1,
      /no-such is not installed: npm i no-such$/,
    ],
    [
      'misses a scoped one',
      { 'pnpm-lock.yaml': '', 'jobs.ts': "import { q } from '@no/such/deep'\nexport const jobs = [q]" },
      'jobs.ts',
      1,
      /@no\/such is not installed: pnpm add @no\/such$/,
    ],
    [
      'misses a file',
      { 'jobs.ts': "\nimport { q } from './gone'\nexport const jobs = [q]" },
      'jobs.ts',
      2,
      /\.\/gone/,
    ],
    [
      'has a schema that is none',
      { 'jobs.ts': "export const jobs = [\n  { type: 'a', payload: {}, run() {} },\n]" },
      'jobs.ts',
      2,
      /payload: must be a zod schema/,
    ],
    [
      'has no module for a thread',
      {
        'jobs.ts':
          "export const jobs = [\n  { type: 'a', isolate: new URL('./gone.ts', import.meta.url) },\n]",
      },
      'jobs.ts',
      2,
      /isolate: there is no such file: .*gone\.ts/,
    ],
  ])('%s', async (_what, files, name, line, problem) => {
    const error = await failure(files, 'jobs.ts')
    expect(error.place).toMatchObject({ file: join(project?.path ?? '', name), line })
    expect(error.problem).toMatch(problem)
    expect(error.message).toContain(`${name}:${line}`)
  })

  test('names a type twice: both are named', async () => {
    const files = { 'a.ts': `\nexport const a = ${JOB('twice')}`, 'b.ts': `export const b = ${JOB('twice')}` }
    const error = await failure(files, 'a.ts', 'b.ts')
    expect(error.message).toMatch(/"twice" is defined twice: by .*a\.ts:2 and by .*b\.ts:1/)
  })

  test('names a type twice itself: both lines are named', async () => {
    const text = `export const a = ${JOB('twice')}\n\nexport const b = ${JOB('twice')}`
    const error = await failure({ 'a.ts': text }, 'a.ts')
    expect(error.message).toMatch(/"twice" is defined twice: by .*a\.ts:1 and by .*a\.ts:3/)
  })

  test.each([
    ['', /it exports no job: write export const jobs = \[/],
    ['export const count = 1', /none of what it exports \(count\) is a job/],
    ['export const jobs = { a: 1 }', /"jobs" must be an array/],
    ['export default 1', /the default export must be an array/],
    ['export const jobs = [undefined]', /job 1 of its array is undefined/],
  ])('exports no job: %s', async (text, problem) => {
    expect((await failure({ 'jobs.ts': text }, 'jobs.ts')).problem).toMatch(problem)
  })

  test('is not there: another one may be meant', async () => {
    const path = await mkdtemp(join(tmpdir(), 'jobcast-empty-'))
    onTestFinished(() => rm(path, { recursive: true }))
    const error = await failure({ 'jobs.ts': `export const a = ${JOB('a')}` }, 'jobs.js').catch(() => null)
    // The ending of what it compiles to means the source.
    expect(error).toBeNull()
    const typo = await failure({ 'jobs.mts': '' }, 'jobs.py')
    expect(typo.message).toMatch(/jobs\.py: there is no such file; did you mean .*jobs\.mts\?$/)
  })
})

test.each([
  'module.exports = { jobs: [a] }',
  'module.exports = { default: [a] }',
  'module.exports = { a }',
  'module.exports = [a]',
  'exports.a = a',
  'exports.a = a; exports.jobs = [a]',
])('a jobs file in CommonJS: %s', async (exporting) => {
  const jobs = await load({ 'jobs.cjs': `const a = ${JOB('a')}\n${exporting}` }, 'jobs.cjs')
  expect(jobs.map(({ type }) => type)).toEqual(['a'])
})
