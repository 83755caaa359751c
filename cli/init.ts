import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { findJobsFile, packageManagerOf } from '../server/project.ts'
import { exampleJobs, type Project, ROUTE, snippetsFor } from './snippets.ts'
import { CommandError, color, print, printJson } from './terminal.ts'

export interface InitFlags {
  readonly yes?: boolean
  readonly json?: boolean
}

interface Change {
  readonly path: string
  /** What is done, or why nothing is. */
  readonly what: string
  /** Undefined: the file is left as it is. */
  readonly content?: string
}

interface Manifest {
  readonly type?: string
  readonly scripts?: Readonly<Record<string, string>> | null
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

/** Adds to the project in this folder what a first job needs; nothing that is there is overwritten. */
export async function init(flags: InitFlags): Promise<void> {
  const { text, manifest } = readManifest()
  const project = lookAt(manifest)
  const changes = [jobsFile(project), ...routeFile(project), script(text, manifest, project), ...ignoreLine()]
  const isJson = flags.json === true
  if (!isJson) for (const line of told(changes, project)) print(line)
  if (!isJson && flags.yes !== true && changes.some(isMade) && !(await agreed()))
    return print('nothing was changed')
  for (const { path, content } of changes) {
    if (content === undefined) continue
    write(path, content)
  }
  if (isJson) {
    const shown = changes.map(({ path, what, content }) => ({ path, what, changed: content !== undefined }))
    printJson({ framework: project.framework, files: shown, next: snippetsFor(project) })
  } else for (const line of nextSteps(project)) print(line)
}

function write(path: string, content: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  } catch (error) {
    throw new CommandError(`${path} cannot be written: ${reasonOf(error)}`)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function readManifest(): { readonly text: string; readonly manifest: Manifest } {
  if (!existsSync('package.json'))
    throw new CommandError(
      'there is no package.json here: go to the folder of your project, or begin one with npm init -y',
      { exitCode: 2 },
    )
  try {
    // Some editors begin files with a mark that JSON does not know.
    const text = readFileSync('package.json', 'utf8').replace(/^\uFEFF/, '')
    const manifest: unknown = JSON.parse(text)
    if (isObject(manifest) && isObject(manifest.scripts ?? {})) return { text, manifest }
  } catch (error) {
    throw new CommandError(`package.json is not JSON: ${reasonOf(error)}`, { exitCode: 2 })
  }
  throw new CommandError('package.json must be an object, and so must its "scripts"', { exitCode: 2 })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function lookAt(manifest: Manifest): Project {
  const has = (name: string) =>
    [manifest.dependencies, manifest.devDependencies].some((all) => all?.[name] !== undefined)
  const framework = (['next', 'vite', 'express'] as const).find(has) ?? 'plain'
  const usesTypeScript = has('typescript') || existsSync('tsconfig.json')
  const isModule = manifest.type === 'module'
  const ending = usesTypeScript
    ? 'ts'
    : isModule || framework === 'next' || framework === 'vite'
      ? 'js'
      : 'mjs'
  const found = findJobsFile('.')
  return {
    framework,
    usesTypeScript,
    isModule,
    usesZod: has('zod') || !has('jobcast'),
    hasJobcast: has('jobcast'),
    hasReact: has('react'),
    packageManager: packageManagerOf(process.cwd()),
    jobsFile: found ?? join(existsSync('src') ? 'src' : '.', `jobs.${ending}`),
    appFolder: framework === 'next' ? appFolder() : null,
  }
}

function appFolder(): string {
  const found = ['src/app', 'app'].find((folder) => existsSync(folder))
  return found ?? (existsSync('src') ? 'src/app' : 'app')
}

function jobsFile(project: Project): Change {
  const { jobsFile: path } = project
  if (existsSync(path)) return { path, what: 'is there already, and left as it is' }
  return { path, what: 'a job that counts words', content: exampleJobs(project) }
}

/** In an app of Next, the address behind which its pages find Jobcast. */
function routeFile({ appFolder, usesTypeScript }: Project): Change[] {
  if (appFolder === null) return []
  const path = join(appFolder, 'api/jobcast/[...path]', usesTypeScript ? 'route.ts' : 'route.js')
  if (existsSync(path)) return [{ path, what: 'is there already, and left as it is' }]
  return [{ path, what: 'how your pages reach Jobcast', content: ROUTE }]
}

function script(text: string, { scripts }: Manifest, { jobsFile: path }: Project): Change {
  const file = 'package.json'
  if (scripts?.jobs !== undefined) return { path: file, what: `has a script "jobs" already: ${scripts.jobs}` }
  const command = findJobsFile('.') === path || isConventional(path) ? 'jobcast dev' : `jobcast dev ${path}`
  const indent = /^([ \t]+)"/m.exec(text)?.[1] ?? '  '
  const manifest: Record<string, unknown> = JSON.parse(text)
  manifest.scripts = { ...scripts, jobs: command }
  const end = text.endsWith('\n') ? '\n' : ''
  const content = JSON.stringify(manifest, null, indent) + end
  return { path: file, what: `a script "jobs": ${command}`, content }
}

function isConventional(path: string): boolean {
  return /^(?:src[\\/])?jobs\.\w+$/.test(path)
}

/** `.data` is where jobs are stored; the folder ignores itself as well, once it is there. */
function ignoreLine(): Change[] {
  const path = '.gitignore'
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  if (text === '' && !isInRepository(process.cwd())) return []
  if (/^\/?\.data\/?\s*$/m.test(text)) return [{ path, what: 'ignores .data already' }]
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return [{ path, what: 'a line for .data, where jobs are stored', content: `${before}.data\n` }]
}

function isInRepository(folder: string): boolean {
  if (existsSync(join(folder, '.git'))) return true
  return dirname(folder) !== folder && isInRepository(dirname(folder))
}

function isMade({ content }: Change): boolean {
  return content !== undefined
}

const NAMED = { next: 'Next.js', vite: 'Vite', express: 'Express', plain: 'Node.js' }

function told(changes: readonly Change[], { framework, usesTypeScript }: Project): string[] {
  const kind = `${NAMED[framework]}, ${usesTypeScript ? 'TypeScript' : 'JavaScript'}`
  const width = Math.max(...changes.map(({ path }) => path.length))
  const lines = changes.map((change) => {
    const path = change.path.padEnd(width)
    if (!isMade(change)) return `  ${color.dim(`· ${path}  ${change.what}`)}`
    return `  ${color.green('+')} ${path}  ${color.dim(change.what)}`
  })
  return ['', `  ${color.bold('jobcast init')}  ${color.dim(kind)}`, '', ...lines]
}

async function agreed(): Promise<boolean> {
  if (process.stdin.isTTY !== true) return true
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question('\n  Go ahead? (Y/n) ').finally(() => terminal.close())
  return /^(?:|y|yes)$/i.test(answer.trim())
}

function nextSteps(project: Project): string[] {
  const lines: string[] = []
  for (const { title, code, file } of snippetsFor(project)) {
    lines.push('', `  ${color.bold(title)}${file === null ? '' : color.dim(`  ${file}`)}`, '')
    for (const line of code.trimEnd().split('\n')) lines.push(line === '' ? '' : `    ${line}`)
  }
  return [...lines]
}
