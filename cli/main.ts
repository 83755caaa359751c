#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError, Option } from 'commander'
import { JOB_STATUSES } from '../shared/status.ts'
import type { ClientFlags } from './connect.ts'
import type { DevFlags } from './dev.ts'
import { wantsColor } from './environment.ts'
import type { InitFlags } from './init.ts'
import type { ListFlags } from './jobs.ts'
import type { StartFlags } from './start.ts'
import type { SubmitFlags } from './submit.ts'
import { CommandError, dye, say } from './terminal.ts'

/** The command `jobcast`: what it understands. Exit codes: 0; 1 where something failed; 2 where the call was a mistake; 130 after Ctrl-C. */
const MISTAKEN = 2

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

const program = new Command('jobcast')
  .description('A job server that pushes: run work in the background, watch every change of it live.')
  .version(version, '-v, --version', 'print the version')
  .option('--no-color', 'no colours (NO_COLOR does the same)')
  .helpOption('-h, --help', 'print help')
  .helpCommand('help [command]', 'print help for a command')
  .showSuggestionAfterError()
  .configureOutput({
    getOutHasColors: () => wantsColor(process.stdout),
    getErrHasColors: () => wantsColor(process.stderr),
    outputError: (text, write) => write(text.replace(/^error: /, `${dye.red('jobcast:')} `)),
  })
  .configureHelp({ styleTitle: (text) => (wantsColor(process.stdout) ? `\u001b[1m${text}\u001b[22m` : text) })
  .exitOverride()
  .addHelpText(
    'after',
    examples('jobcast init', 'jobcast dev', `jobcast submit word-count '{"text":"hello there"}' --watch`),
  )

/** A command of which every line of help has an example. */
function command(usage: string, description: string, group: string, ...shown: string[]): Command {
  const made = program
    .command(usage)
    .description(description)
    .helpGroup(group)
    .allowExcessArguments(false)
    .addHelpText('after', examples(...shown))
  // Beside those of the program itself, so that they may stand after the command.
  return made.addOption(new Option('--no-color', 'no colours').hideHelp())
}

function examples(...lines: string[]): string {
  const shown = lines.map((line) => `  $ ${line.replace(/\bjobcast\b/, 'npx jobcast')}`)
  return `\nExamples:\n${shown.join('\n')}\n`
}

/** A command that talks to a server. */
function clientCommand(usage: string, description: string, ...shown: string[]): Command {
  return command(usage, description, 'Jobs:', ...shown)
    .option('--url <url>', 'where the server is (JOBCAST_URL; else ports 3300 and 3000 of this machine)')
    .option('--key <key>', 'API key (JOBCAST_KEY)')
    .option('--json', 'print JSON: one document, or one a line')
}

function collect(value: string, all: readonly string[] = []): string[] {
  return [...all, value]
}

command(
  'init',
  'Add to the project in this folder what a first job needs: a jobs file, a script, an ignore line. Overwrites nothing.',
  'Servers:',
  'jobcast init',
  'jobcast init --yes',
)
  .option('-y, --yes', 'do not ask')
  .option('--json', 'do not ask, and print JSON')
  .action(async (flags: InitFlags) => (await import('./init.ts')).init(flags))

command(
  'dev [files...]',
  'Run a server for development: it loads your jobs files, again with every save, and shows what jobs do.',
  'Servers:',
  'jobcast dev',
  'jobcast dev src/jobs.ts --port 4000',
  'jobcast dev --with-examples --open',
)
  .option('-p, --port <port>', 'where it listens', '3300')
  .option('--host <host>', 'the address that it listens at', '127.0.0.1')
  .option('--open', 'open its page in a browser')
  .option('--with-examples', 'with the job types of the examples, to try it with')
  .option(
    '--env <file>',
    'read variables from this file instead of .env.local and .env; may be repeated',
    collect,
  )
  .action(async (files: string[], flags: DevFlags) => {
    const { dev } = await import('./dev.ts')
    process.exit(await dev(files, flags, version))
  })

command(
  'start [files...]',
  'Run a server for production, with everything that the environment says (JOBCAST_…, REDIS_URL, PORT, HOST).',
  'Servers:',
  'jobcast start dist/jobs.js',
  'REDIS_URL=redis://localhost:6379 jobcast start src/jobs.ts --port 8080',
)
  .option('-p, --port <port>', 'where it listens (PORT; 3000)')
  .option('--host <host>', 'the address that it listens at (HOST; 127.0.0.1)')
  .option('--env <file>', 'read variables from this file; may be repeated', collect)
  .action(async (files: string[], flags: StartFlags) => (await import('./start.ts')).start(files, flags))

clientCommand(
  'submit <type> [payload...]',
  'Submit a job. The payload is JSON, @file, - for standard input, or pairs such as name=value.',
  `jobcast submit word-count '{"text":"hello there"}' --watch`,
  'jobcast submit resize width=64 url=https://example.com/cat.png',
  'jobcast submit import @rows.json --delay 5m --tag nightly',
  'cat rows.json | jobcast submit import - --json',
)
  .option('-w, --watch', 'show its progress and log until it ends, then its result')
  .option('--delay <time>', 'run it later, such as 30s, 5m or 2h')
  .option('--at <time>', 'run it at a time (ISO 8601 with a zone)')
  .option('--priority <0-9>', 'higher goes first')
  .option('--max-attempts <n>', 'attempts in all')
  .option('--timeout <time>', 'of one attempt')
  .option('--tag <word>', 'a word by which lists find it; may be repeated', collect)
  .option('--idempotency-key <key>', 'the same key again gives the same job')
  .option('--options <json>', 'any other options of a submission')
  .action(async (type: string, payload: string[], flags: SubmitFlags) => {
    const { submit } = await import('./submit.ts')
    process.exitCode = await submit(type, payload, flags)
  })

clientCommand(
  'watch <job>',
  'Show the progress and log of a job until it ends, then its result.',
  'jobcast watch 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
  'jobcast watch 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11 --json',
).action(async (jobId: string, flags: ClientFlags) => {
  const [{ withServer }, { follow }] = await Promise.all([import('./connect.ts'), import('./watch.ts')])
  process.exitCode = await withServer(flags, (client) => follow(client, jobId, flags))
})

clientCommand(
  'ls',
  'List jobs, the newest first.',
  'jobcast ls',
  'jobcast ls --status failed --type resize --type import',
  'jobcast ls --tag nightly --limit 100 --json',
)
  .alias('list')
  .option('--type <type>', 'of this type; repeated: of any of them', collect)
  .addOption(
    new Option(
      '--status <status>',
      `in this status (${JOB_STATUSES.join(', ')}); repeated: in any of them`,
    ).argParser(collect),
  )
  .option('--tag <word>', 'with this tag; repeated: with all of them', collect)
  .option('--limit <n>', 'at most so many, 1–200 (default 20)')
  .option('--page <page>', 'the page that the one before named')
  .action(async (flags: ListFlags) => (await import('./jobs.ts')).list(flags))

clientCommand(
  'get <job>',
  'Show a job with its payload and result.',
  'jobcast get 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
  'jobcast get 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11 --json | jq .result',
).action(async (jobId: string, flags: ClientFlags) => (await import('./jobs.ts')).get(jobId, flags))

clientCommand(
  'cancel <job...>',
  'Cancel jobs: those that wait at once, those that run as soon as they stop.',
  'jobcast cancel 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
).action(async (jobs: string[], flags: ClientFlags) => (await import('./jobs.ts')).cancel(jobs, flags))

clientCommand(
  'retry <job...>',
  'Run failed or cancelled jobs once more.',
  'jobcast retry 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
).action(async (jobs: string[], flags: ClientFlags) => (await import('./jobs.ts')).retry(jobs, flags))

clientCommand('pause <type...>', 'Let nothing of a type start.', 'jobcast pause import').action(
  async (types: string[], flags: ClientFlags) => (await import('./jobs.ts')).setPaused(types, true, flags),
)

clientCommand('resume <type...>', 'Let a paused type run again.', 'jobcast resume import').action(
  async (types: string[], flags: ClientFlags) => (await import('./jobs.ts')).setPaused(types, false, flags),
)

clientCommand(
  'types',
  'List the job types, how many jobs they have and who runs them.',
  'jobcast types',
).action(async (flags: ClientFlags) => (await import('./jobs.ts')).types(flags))

clientCommand('top', 'Show what happens on the server, anew every second; q quits.', 'jobcast top').action(
  async (flags: ClientFlags) => (await import('./top.ts')).top(flags),
)

// Whoever reads may have seen enough, as `head` has.
process.stdout.on('error', () => process.exit())

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = tell(error)
}

/** What went wrong, in one sentence; the exit code. */
function tell(error: unknown): number {
  // Help, the version and what commander says of a wrong call are told already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISTAKEN
  if (!(error instanceof CommandError)) throw error
  say(`${dye.red('jobcast:')} ${error.message}`)
  for (const detail of error.details) say(`  ${detail}`)
  return error.exitCode
}
