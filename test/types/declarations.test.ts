import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

const DIST = fileURLToPath(new URL('../../dist', import.meta.url))
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

/** Every type of dist/shared that is not generic, and the module that it is of. */
async function declared(): Promise<{ module: string; type: string }[]> {
  const files = (await readdir(join(DIST, 'shared'))).filter((file) => file.endsWith('.d.ts'))
  const found = files.map(async (file) => {
    const text = await readFile(join(DIST, 'shared', file), 'utf8')
    return [...text.matchAll(/^export type (\w+) =/gm)].map(([, type = '']) => ({
      module: file.replace('.d.ts', ''),
      type,
    }))
  })
  return (await Promise.all(found)).flat()
}

test('the types that are written down are those that the schemas have', async () => {
  const types = await declared()
  for (const type of ['Job', 'JobEvent', 'SubmitOptions', 'RunPolicy', 'ToldField', 'ServerFrame'])
    expect(types.map((one) => one.type)).toContain(type)
  const folder = join(DIST, `same-${process.pid}`)
  await mkdir(folder)
  onTestFinished(() => rm(folder, { recursive: true }))
  const config = { extends: '../../tsconfig.json', include: ['same.ts'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const modules = [...new Set(types.map(({ module }) => module))]
  const imports = modules.map(
    (name) =>
      `import type * as source_${name.replace('-', '_')} from '../../shared/${name}.ts'\n` +
      `import type * as built_${name.replace('-', '_')} from '../shared/${name}.js'\n`,
  )
  const checks = types.map(({ module, type }) => {
    const [built, source] = ['built', 'source'].map((which) => `${which}_${module.replace('-', '_')}.${type}`)
    return `export const ${module.replace('-', '_')}_${type}: Same<${built}, ${source}> = true\n`
  })
  const same = `type Same<A, B> = [A, keyof A] extends [B, keyof B] ? ([B, keyof B] extends [A, keyof A] ? true : false) : false\n`
  await writeFile(join(folder, 'same.ts'), [...imports, same, ...checks].join(''))
  const compiled = promisify(execFile)(process.execPath, [TSC, '-p', folder, '--pretty', 'false'])
  const output = await compiled.then(
    ({ stdout }) => stdout,
    ({ stdout, stderr }) => `${stdout}${stderr}`,
  )
  expect(output).toBe('')
})

test('no declaration asks for zod, which is part of the bundle', async () => {
  const files = (await readdir(DIST, { recursive: true })).filter((file) => file.endsWith('.d.ts'))
  expect(files.length).toBeGreaterThan(20)
  const asking = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(DIST, file), 'utf8')
      return / from ['"]zod/.test(text) || text.includes('import("zod') ? [file] : []
    }),
  )
  expect(asking.flat()).toEqual([])
})
