// Writes docs/reference: a page for each entry point of the package, from the declarations that are built, and one for the
// command, from its help. With `--check` it writes nothing, and fails where a page is not what it would write.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Application } from 'typedoc'
import { MarkdownPageEvent } from 'typedoc-plugin-markdown'
import { formatted } from './format.mjs'
import { CompactTheme } from './theme.mjs'
import { tidy } from './tidy.mjs'

const FOLDER = join('docs', 'reference')
const COMMAND = join('dist', 'cli', 'main.js')

process.chdir(join(import.meta.dirname, '..', '..'))
const pages = new Map([...(await entryPages()), ['cli.md', await commandPage()]])

if (process.argv.includes('--check')) check()
else write()

function write() {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER)
  for (const [name, text] of pages) writeFileSync(join(FOLDER, name), text)
}

function check() {
  const there = readdirSync(FOLDER)
  const stale = [...pages].filter(
    ([name, text]) => !there.includes(name) || readFileSync(join(FOLDER, name), 'utf8') !== text,
  )
  const names = [...stale.map(([name]) => name), ...there.filter((name) => !pages.has(name))]
  if (names.length === 0) return
  console.error(
    `${names.map((name) => join(FOLDER, name)).join(', ')}: not as the code is; \`npm run docs\` writes them anew`,
  )
  process.exitCode = 1
}

/** By the name of the file. */
async function entryPages() {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
  const entries = Object.entries(exports).flatMap(([path, { types }]) =>
    types === undefined ? [] : [{ name: path.replace('.', 'jobcast'), types }],
  )
  const folder = mkdtempSync(join(tmpdir(), 'jobcast-reference-'))
  try {
    const modules = await generate(entries, folder)
    const texts = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')])
    return [...texts.map(([name, text]) => [name, formatted(text)]), ['README.md', indexPage(modules)]]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Leads to all others. */
function indexPage(modules) {
  const rows = modules.map(({ name, comment }) => {
    const about = comment.summary.map(({ text }) => text).join('')
    return `| [\`${name}\`](${name.replace('/', '.')}.md) | ${about.replaceAll('\n', ' ')} |\n`
  })
  return `# Reference

Made from the code by \`npm run docs\`.

| | |
| --- | --- |
${rows.join('')}| [the command \`jobcast\`](cli.md) | The help of all its commands. |
| [HTTP, WebSocket and SSE](../protocol.md) | What goes over the wire. |
`
}

/** Writes a page a module; answers with the modules. */
async function generate(entries, folder) {
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown', 'typedoc-plugin-missing-exports'],
    entryPoints: entries.map(({ types }) => types),
    tsconfig: join(import.meta.dirname, 'tsconfig.json'),
    logLevel: 'Warn',
    treatWarningsAsErrors: true,
    name: 'Reference',
    readme: 'none',
    theme: 'compact',
    placeInternalsInOwningModule: true,
    excludeExternals: true,
    excludePrivate: true,
    excludeProtected: true,
    disableSources: true,
    sort: ['source-order'],
    groupOrder: ['Functions', 'Classes', 'Interfaces', 'Type Aliases', '*'],
    outputs: [{ name: 'markdown', path: folder }],
    outputFileStrategy: 'modules',
    flattenOutputFiles: true,
    hideBreadcrumbs: true,
    hidePageHeader: true,
    hideGroupHeadings: true,
    indexFormat: 'table',
    useCodeBlocks: true,
    expandObjects: true,
    expandParameters: true,
    // What they are is in the signatures.
    parametersFormat: 'none',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    propertyMembersFormat: 'table',
    typeDeclarationFormat: 'table',
    tableColumnSettings: {
      hideModifiers: true,
      hideInherited: true,
      hideOverrides: true,
      hideDefaults: true,
    },
  })
  app.renderer.defineTheme('compact', CompactTheme)
  // Of what a table has links lead to the table.
  app.renderer.on(MarkdownPageEvent.END, (page) => {
    page.contents = page.contents.replaceAll(/<a id="[^"]*"><\/a> /g, '')
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('TypeDoc could not read the declarations')
  const modules = entries.map(({ name, types }) => {
    const entry = types.replace('./dist/', '').replace('/index.d.ts', '')
    const module = project.children.find((child) => child.name === entry)
    module.name = name
    return module
  })
  tidy(project, new Map(entries.map(({ name, types }) => [name, exportsOf(types)])))
  await app.generateOutputs(project)
  if (app.logger.hasErrors() || app.logger.hasWarnings())
    throw new Error('TypeDoc has found something to mend')
  return modules
}

/** The names that a module exports. */
function exportsOf(declarations) {
  const text = readFileSync(declarations, 'utf8')
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, list]) => list)
  const declared = [...text.matchAll(/^export declare \w+ (\w+)/gm)].map(([, name]) => name)
  return new Set([...lists.join(',').matchAll(/\w+(?=\s*(?:,|$))/g)].map(([name]) => name).concat(declared))
}

async function commandPage() {
  const all = await helpOf()
  const names = [...all.matchAll(/^ {2}([a-z]+)[ |].*$/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'help')
  const pages = await Promise.all(
    names.map(async (name) => `## jobcast ${name}\n\n${textBlock(await helpOf(name))}`),
  )
  return ['# The command `jobcast`', textBlock(all), ...pages].join('\n\n').concat('\n')
}

async function helpOf(...command) {
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, ...command, '--help'], {
    env: { ...process.env, NO_COLOR: '1' },
  })
  return stdout
}

function textBlock(text) {
  return `\`\`\`text\n${text.trim()}\n\`\`\``
}
