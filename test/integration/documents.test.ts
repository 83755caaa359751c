import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { dataFolder, SAMPLES, startServer } from '../helpers/server.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
const run = promisify(execFile)

interface Block {
  readonly page: string
  readonly language: string
  /** What follows the language: the name of a file, or how the block is tried. */
  readonly info: string
  readonly text: string
}

async function documents(): Promise<string[]> {
  const inDocs = (await readdir(join(ROOT, 'docs'), { recursive: true })).map((file) => join('docs', file))
  const all = [...inDocs, 'README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
  return all.filter((file) => file.endsWith('.md')).sort()
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/^```(\w+)(?: +(.+))?\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', info = '', code = '']) => ({ page, language, info, text: code }),
  )
}

const LEADING = ['README.md', 'docs/guides']
const SOURCE = /^(?:ts|tsx|js|jsx)$/

/** Of README and guides, whose blocks make up a little project a page. */
async function leading(): Promise<Block[]> {
  const pages = (await documents()).filter((page) => LEADING.some((one) => page.startsWith(one)))
  return pages.flatMap(blocksOf)
}

test('what the guides show in TypeScript compiles, a project a page', async () => {
  const blocks = (await leading()).filter(({ language }) => SOURCE.test(language))
  expect(blocks.filter(({ info }) => !/\.m?[jt]sx?$/.test(info))).toEqual([])
  expect(blocks.length).toBeGreaterThan(20)
  // Beside the libraries of this package.
  const folder = join(ROOT, 'dist', `documents-${process.pid}`)
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const { page, info, text } of blocks) {
    const file = join(folder, page.replace(/\.md$/, ''), info)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  // As apps that a bundler builds have it; within its own package a compiler would look for the sources of what is built.
  const compilerOptions = {
    paths: declarations(),
    module: 'esnext',
    moduleResolution: 'bundler',
    noUncheckedIndexedAccess: false,
    exactOptionalPropertyTypes: false,
    noUnusedLocals: false,
    rewriteRelativeImportExtensions: false,
    allowJs: true,
    types: ['node'],
  }
  const config = { extends: relative(folder, join(ROOT, 'tsconfig.json')), compilerOptions, include: ['.'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const output = await run(process.execPath, [TSC, '-p', folder, '--pretty', 'false']).then(
    ({ stdout }) => stdout,
    ({ stdout, stderr }) => `${stdout}${stderr}`,
  )
  expect(output.replaceAll(`dist/documents-${process.pid}/`, '')).toBe('')
})

/** By the name that is imported. */
function declarations(): Record<string, string[]> {
  const { exports }: { exports: Record<string, { types?: string }> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  return Object.fromEntries(
    Object.entries(exports).flatMap(([path, { types }]) =>
      types === undefined ? [] : [[path.replace('.', 'jobcast'), [join(ROOT, types)]]],
    ),
  )
}

test('what the guides do with curl is answered as they show', async () => {
  const data = await dataFolder()
  const server = await startServer({ ...SAMPLES, JOBCAST_DATA: data.path })
  onTestFinished(async () => {
    await server.stop()
    await data.remove()
  })
  const blocks = (await leading()).filter(({ info }) => info === 'curl')
  expect(blocks).toHaveLength(1)
  for (const { text } of blocks) {
    const [submit = '', shown = '', ...calls] = text
      .replaceAll('http://127.0.0.1:3000', server.url)
      .replaceAll('\\\n', '')
      .split('\n')
      .map((line) => (line.startsWith('# ') ? line : line.replace(/ {2,}#.*$/, '')))
    const { stdout } = await run('bash', ['-c', submit])
    const answer: { jobId: string; cursor: string } = JSON.parse(stdout)
    expect(Object.keys(answer)).toEqual(keysOf(shown))
    const variables = { id: answer.jobId, cursor: answer.cursor }
    const curls = calls.filter((line) => line.startsWith('curl '))
    expect(curls).toHaveLength(3)
    for (const line of curls) {
      // The stream goes on for as long as the job does.
      const { stdout: told } = await run('bash', ['-c', `timeout 3 ${line} || [ $? = 124 ]`], {
        env: { ...process.env, ...variables },
      })
      expect(told).toContain(answer.jobId)
    }
  }
})

function keysOf(shown: string): string[] {
  return [...shown.matchAll(/"(\w+)":/g)].map(([, key = '']) => key)
}

test('blocks that cannot be run are few, and say so', async () => {
  const rest = (await leading()).filter(({ language, info }) => !SOURCE.test(language) && info !== 'curl')
  const counts: Record<string, number> = {}
  for (const { language, info } of rest) {
    const kind = language === 'sh' && info === '' ? 'sh' : `${language} ${info}`.trim()
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  // `sh terminal` is what a person types; `sh` installs, and is tried with the package.
  expect(counts).toEqual({ sh: 4, 'sh terminal': 3, 'vue report.vue': 1, 'svelte report.svelte': 1, text: 1 })
})

test('JSON in documents is JSON', async () => {
  const blocks = (await documents()).flatMap(blocksOf).filter(({ language }) => language === 'json')
  expect(blocks.length).toBeGreaterThan(5)
  for (const { page, text } of blocks) {
    // Of events and frames, one a line.
    const isWhole = /^[{[]\n/.test(text)
    for (const one of isWhole ? [text] : text.trim().split('\n'))
      expect(() => JSON.parse(one), `${page}: ${one}`).not.toThrow()
  }
})

test('every link to another document, a file or a heading leads somewhere', async () => {
  const dead: string[] = []
  for (const page of await documents()) {
    const text = readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), decodeURI(path))
      if (!existsSync(join(ROOT, file))) dead.push(`${page}: ${target}`)
      else if (anchor !== undefined && !headings(file).includes(anchor)) dead.push(`${page}: ${target}`)
    }
  }
  expect(dead).toEqual([])
})

/** The anchors that GitHub gives to a document's headings. */
function headings(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
