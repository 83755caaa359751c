import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import ts from './typescript-5.9/node_modules/typescript/lib/typescript.js'

function compiler(from: string): string {
  const { resolve } = createRequire(new URL(from, import.meta.url))
  return join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')
}

/** A user's project, compiled against the declarations that are built. */
const APP = fileURLToPath(new URL('app', import.meta.url))

/** The oldest TypeScript that the types are made for, the last one written in JavaScript, and the newest. */
const COMPILERS = {
  '5.4': compiler('./typescript-5.4/package.json'),
  '5.9': compiler('./typescript-5.9/package.json'),
  '7': compiler('../../package.json'),
}

const NODE = ['--module', 'nodenext', '--moduleResolution', 'nodenext']
const BUNDLER = ['--module', 'esnext', '--moduleResolution', 'bundler']
/** Holds the declarations themselves to the user's settings, those of libraries included. */
const WITH_LIBRARIES = ['--skipLibCheck', 'false']

describe("a user's project compiles, and what is wrong in it does not", () => {
  test.each([
    ['5.4', 'a bundler', BUNDLER],
    ['5.9', 'Node', NODE],
    ['7', 'Node, with all declarations', [...NODE, ...WITH_LIBRARIES]],
    [
      '7',
      'a bundler, exact optional properties',
      [...BUNDLER, '--exactOptionalPropertyTypes', ...WITH_LIBRARIES],
    ],
  ] as const)('TypeScript %s for %s', async (version, _, options) => {
    const args = [COMPILERS[version], '--project', APP, '--pretty', 'false', ...options]
    const compiled = promisify(execFile)(process.execPath, args)
    const output = await compiled.then(
      ({ stdout }) => stdout,
      ({ stdout, stderr }) => `${stdout}${stderr}`,
    )
    expect(output).toBe('')
  })
})

describe('an editor', () => {
  const file = `${APP}/edited.ts`
  const head = `import { createClient } from 'jobcast/client'
import type { jobs } from './jobs.js'
const client = createClient<typeof jobs>()
`

  test('offers the names of types, and the fields of the payload', () => {
    expect(offered(`${head}client.submit({ type: '|' })`)).toEqual([
      ...['deferred', 'echo', 'paint', 'render', 'report', 'resize', 'silent', 'word-count'],
    ])
    expect(offered(`${head}client.run({ type: 'word-count', payload: { | } })`)).toEqual(['at', 'text'])
  })

  test('says in one line which name is meant', () => {
    const [error] = wrong(`${head}client.submit({ type: 'wrod-count', payload: {} })`)
    expect(error).toContain(`'"wrod-count"' is not assignable to type '"word-count" | "resize" |`)
    expect(error).toContain(`Did you mean '"word-count"'?`)
    expect(error).not.toContain('\n')
  })

  test('says which field of the payload is wrong', () => {
    expect(wrong(`${head}client.submit({ type: 'resize', payload: { with: 3 } })`)).toEqual([
      "Object literal may only specify known properties, but 'with' does not exist in type '{ width: number; }'. Did you mean to write 'width'?",
    ])
  })

  /** The completions where the text has a `|`. */
  function offered(text: string): string[] {
    const at = text.indexOf('|')
    const service = serve(text.replace('|', ''))
    const entries = service.getCompletionsAtPosition(file, at, {})?.entries ?? []
    return entries.map(({ name }) => name).sort()
  }

  function wrong(text: string): string[] {
    const found = serve(text).getSemanticDiagnostics(file)
    return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  }

  function serve(text: string) {
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(`${APP}/tsconfig.json`, ts.sys.readFile).config,
      ts.sys,
      APP,
    )
    const read = (path: string) => (path === file ? text : ts.sys.readFile(path))
    return ts.createLanguageService({
      ...{ getCompilationSettings: () => options, getScriptFileNames: () => [file] },
      ...{ getScriptVersion: () => '1', getCurrentDirectory: () => APP },
      getScriptSnapshot(path) {
        const content = read(path)
        return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
      },
      ...{ getDefaultLibFileName: ts.getDefaultLibFilePath, readFile: read },
      fileExists: (path) => path === file || ts.sys.fileExists(path),
      directoryExists: ts.sys.directoryExists,
    })
  }
})
