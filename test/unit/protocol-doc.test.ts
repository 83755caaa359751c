import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { variables } from '../../server/config.ts'
import { Problem, SubmitAnswer, SubmitBody } from '../../shared/api.ts'
import * as CLOSE from '../../shared/close-codes.ts'
import { FRAME_ERRORS, JOB_ERROR_CODES, PROBLEMS, UNSUBSCRIBED_CODES } from '../../shared/codes.ts'
import { JobEvent } from '../../shared/event.ts'
import { JOB, Job } from '../../shared/job.ts'
import { BACKOFF, LABELS, POLICY, TIMES } from '../../shared/options.ts'
import { ClientFrame, ServerFrame } from '../../shared/protocol.ts'
import { TRANSITIONS } from '../../shared/status.ts'
import { referenceRows, usualText } from '../helpers/reference.ts'

const PAGE = fileURLToPath(new URL('../../docs/protocol.md', import.meta.url))
const page = readFileSync(PAGE, 'utf8')
const schemas: Record<string, z.ZodType> = {
  Job,
  JobEvent,
  SubmitBody,
  SubmitAnswer,
  Problem,
  ClientFrame,
  ServerFrame,
}

/** One document a code block; of events and frames, one a line. */
function examples(): { schema: string; text: string }[] {
  return [...page.matchAll(/^```json ?(\w*)\n([\s\S]*?)^```/gm)].flatMap(([, schema = '', text = '']) =>
    /Event|Frame/.test(schema)
      ? text
          .trim()
          .split('\n')
          .map((line) => ({ schema, text: line }))
      : [{ schema, text }],
  )
}

test('docs/protocol.md lists exactly the variables that are read', () => {
  const table = /\n\| variable \| default \| meaning \|\n([\s\S]*?)\n\n/.exec(page)?.[1] ?? ''
  const listed = table.split('\n').flatMap((row) => row.split('|')[1]?.match(/[A-Z_]{4,}/g) ?? [])
  expect(listed.sort()).toEqual(variables().sort())
})

/** A page with these rows in the table that has this head. */
function withRows(text: string, head: string, rows: readonly string[]): string {
  const at = text.indexOf(`\n${head}\n`) + 1
  expect(at, head).toBeGreaterThan(0)
  const [, line = ''] = text.slice(at).split('\n')
  return text.slice(0, at) + [head, line, ...rows].join('\n') + text.slice(text.indexOf('\n\n', at))
}

function setBy(from: string | undefined): string {
  if (from === 'label') return 'submission'
  return from === 'policy' ? 'submission or type' : String(from)
}

describe('docs/protocol.md', () => {
  test.each(examples())('$schema $text fits its schema', ({ schema, text }) => {
    expect(Object.keys(schemas)).toContain(schema)
    expect(schemas[schema]?.safeParse(JSON.parse(text))).toMatchObject({ success: true })
  })

  test('shows an example of every frame and every kind of event', () => {
    const ops = examples().map(({ text }) => JSON.parse(text).op)
    for (const option of ClientFrame.options) expect(ops).toContain(option.shape.op.value)
    for (const op of ['hello', 'subscribed', 'event', 'place', 'end', 'unsubscribed', 'error', 'drain'])
      expect(ops).toContain(op)
    const kinds = examples()
      .filter(({ schema }) => schema === 'JobEvent')
      .map(({ text }) => JSON.parse(text).kind)
    expect(kinds.sort()).toEqual(['chunk', 'log', 'progress', 'status'])
  })

  // With -u the page is written anew.
  test('lists the fields of a job and the options as their tables have them', async () => {
    const fields = referenceRows(JOB, 'schema', ({ from, isLarge }) => [setBy(from), isLarge ? 'no' : 'yes'])
    const cells: Parameters<typeof referenceRows>[2] = ({ usual }, name) => [usualText(usual, name)]
    const options = [
      ...referenceRows(TIMES, 'option', cells),
      ...referenceRows(POLICY, 'option', cells),
      ...referenceRows(BACKOFF, 'option', cells, 'backoff.'),
      ...referenceRows(LABELS, 'option', cells),
    ]
    let text = withRows(page, '| field | values | set by | in lists | what |', fields)
    text = withRows(text, '| option | values | left out | what |', options)
    await expect(text).toMatchFileSnapshot(PAGE)
  })

  test('names every code', () => {
    const codes = [PROBLEMS, FRAME_ERRORS, UNSUBSCRIBED_CODES].flatMap((table) => Object.keys(table))
    const missing = [...codes, ...JOB_ERROR_CODES].filter((code) => !page.includes(`\`${code}\``))
    expect(missing).toEqual([])
    for (const code of Object.values(CLOSE)) expect(page).toContain(String(code))
  })

  test('has exactly the transitions of the state machine', () => {
    const section = /## 2\. Status([\s\S]*?)\n## 3/.exec(page)?.[1] ?? ''
    const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| from'))
    const written = rows.flatMap((line) => {
      const [, from = '', to = ''] = line.split('|')
      const names = (cell: string) => cell.match(/\w+/g) ?? ['new']
      return names(from).flatMap((a) => names(to).map((b) => `${a} ${b}`))
    })
    const expected = new Set(TRANSITIONS.map(({ from, to }) => `${from ?? 'new'} ${to}`))
    expect([...new Set(written)].sort()).toEqual([...expected].sort())
  })
})
