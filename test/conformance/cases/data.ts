import { describe, expect } from 'vitest'
import type { Json } from '../../../server/engine/engine.ts'
import { type EngineTest, type Kit, listAll, present } from '../harness.ts'

const MIB = 1024 * 1024

/** What JSON can hold and stores are known to stumble over. */
const VALUES: Readonly<Record<string, string>> = {
  null: 'null',
  'empty object': '{}',
  'empty array': '[]',
  'empty ones inside': '{"a":{},"b":[],"c":[[],{}]}',
  'null inside': '[null,{"a":null}]',
  false: 'false',
  zero: '0',
  'empty string': '""',
  'large and small numbers':
    '[9007199254740991,-9007199254740991,1e+21,1e-7,0.1,1.7976931348623157e+308,5e-324]',
  'integers beyond 2^53': '[9007199254740992,12345678901234567000]',
  'NUL and control characters': '"a\\u0000b\\u0001\\u001f\\u007f"',
  'text beyond ASCII': '"é ß 漢字 \u2028\u2029 👩‍👩‍👧 \uFEFF"',
  'lone surrogates': '"\\ud800 \\udc00"',
  'quotes and backslashes': '"\\"\\\\/\' %s %d $1 {} ?1"',
  'what looks like markup': '"<script>alert(1)</script>\\u001b[31m"',
  'keys out of order': '{"b":1,"a":2,"10":3}',
  'odd keys': '{"":1,"a.b":2,"\\u0000":3,"é":4}',
  __proto__: '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  'nested 64 deep': `${'['.repeat(64)}${']'.repeat(64)}`,
}

async function thereAndBack(kit: Kit, value: Json): Promise<void> {
  const text = JSON.stringify(value)
  const jobId = await kit.submit({ payload: value })
  expect(JSON.stringify((await kit.job(jobId)).payload)).toBe(text)
  const run = await kit.claimOne()
  expect(JSON.stringify(run.payload)).toBe(text)
  await kit.report(run, { kind: 'chunk', data: value })
  await kit.settle(run, { kind: 'completed', result: value })
  expect(JSON.stringify((await kit.job(jobId)).result)).toBe(text)
  const [chunk, end] = (await kit.events(jobId)).slice(2)
  expect(JSON.stringify(chunk?.data)).toBe(text)
  expect(JSON.stringify(Object.entries(end?.data ?? {}).find(([key]) => key === 'result')?.[1])).toBe(text)
  expect(JSON.stringify((await listAll(kit.raw))[0]?.payload)).toBe(text)
  await kit.engine.remove(jobId)
}

export function dataCases(it: EngineTest): void {
  describe('payloads and results', () => {
    it('come back as they went in', async (kit) => {
      for (const text of Object.values(VALUES)) await thereAndBack(kit, JSON.parse(text))
      expect(Reflect.get({}, 'polluted')).toBeUndefined()
    })

    it('may be 8 MiB each, and then some events', async (kit) => {
      const payload = { text: 'é'.repeat(4 * MIB - 20) }
      const result = 'x'.repeat(8 * MIB - 2)
      const jobId = await kit.submit({ payload })
      const run = await kit.claimOne()
      // Compared as a whole: describing a difference of this size would take longer than the case.
      expect(JSON.stringify(run.payload) === JSON.stringify(payload)).toBe(true)
      expect(await kit.settle(run, { kind: 'completed', result })).toBe('completed')
      const job = await kit.job(jobId)
      expect(job.result === result).toBe(true)
      expect(JSON.stringify(job.payload) === JSON.stringify(payload)).toBe(true)
      const [read] = await kit.raw.feed.read([
        { jobId, after: { epoch: kit.raw.feed.epoch, seq: 2 }, history: false, withJob: true },
      ])
      const [event, ...others] = present(read, 'read').events
      const data: object = event?.kind === 'status' ? event.data : {}
      expect(others).toHaveLength(0)
      expect(Reflect.get(data, 'result') === result).toBe(true)
    })

    it('do not change with what the caller does to them later', async (kit) => {
      const payload = { list: [1] }
      const jobId = await kit.submit({ payload })
      payload.list.push(2)
      expect((await kit.job(jobId)).payload).toEqual({ list: [1] })
    })
  })

  describe('texts', () => {
    it('of errors, logs, notes and tags come back as they went in', async (kit) => {
      const texts = [
        '',
        '\u0000',
        'a\u0000b',
        'line\r\nbreak',
        '"\\',
        '👩‍👩‍👧 é',
        '{"json":true}',
        'null',
        '0',
        ' x '.repeat(2000),
      ]
      for (const text of texts) {
        const jobId = await kit.submit({ tags: text.length > 0 && text.length <= 64 ? [text, 'second'] : [] })
        const run = await kit.claimOne()
        await kit.settle(run, { kind: 'failed', error: text, errorCode: 'handler_error' }, [
          { kind: 'log', data: { level: 'error', line: text } },
          { kind: 'progress', data: { percent: 0, note: text } },
        ])
        const job = await kit.job(jobId)
        expect(job).toMatchObject({ error: text, progress: { percent: 0, note: text } })
        if (job.tags.length > 0) expect(job.tags).toEqual([text, 'second'])
        const [log] = (await kit.events(jobId)).slice(2)
        expect(log?.data).toEqual({ level: 'error', line: text })
      }
    })

    it('of type names may use all that the protocol allows', async (kit) => {
      const names = ['a', 'a.b-c_d', 'constructor', 'x'.repeat(64), 'a0', 'counts', 'hasownproperty']
      for (const type of names) await kit.submit({ type, payload: type })
      for (const type of names) {
        expect(await kit.claimOne({ types: { [type]: 1 } })).toMatchObject({ type, payload: type })
      }
      expect((await kit.raw.types()).map(({ type }) => type).sort()).toEqual([...names].sort())
    })
  })
}
