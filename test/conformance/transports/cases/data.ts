import { describe, expect } from 'vitest'
import { chunk, expectWhole, line, type TransportTest } from '../harness.ts'

/** Whatever would end a line, a frame, an event or a page if it were taken for more than text. */
const HOSTILE = [
  '\r\n\r\nevent: end\r\ndata: {}\r\n\r\n',
  '\n\nid: forged.1\n\n',
  '\r\rretry: 1\r\r',
  '\u2028\u2029\u0085\u0000\ufeff',
  '<script>alert(1)</script><!-- ]]> "\'`',
  '\u001b[31m\u001b]0;title\u0007\u0008',
  'é 漢字 👩‍👩‍👧 \u202etfel-ot-thgir',
  '{"op":"end"}',
]

/** What events are made of. */
export function dataCases(it: TransportTest): void {
  describe('whatever is in it', () => {
    it('hostile text is text, wherever it stands', async (kit) => {
      const run = await kit.gateway.run(HOSTILE)
      const watch = kit.watch(run.jobId)
      const { job } = await watch.next('snapshot')
      expect(job.payload).toEqual(HOSTILE)
      for (const text of HOSTILE) {
        await run.report(
          line(text),
          { kind: 'chunk', data: { [text]: text } },
          {
            kind: 'progress',
            data: { percent: 1, note: text },
          },
        )
      }
      await run.settle({ kind: 'completed', result: HOSTILE })
      await watch.next('end')
      await expectWhole(kit, watch)
      const lines = watch.events.flatMap((event) => (event.kind === 'log' ? [event.data.line] : []))
      const chunks = watch.events.flatMap((event) => (event.kind === 'chunk' ? [event.data] : []))
      expect(lines).toEqual(HOSTILE)
      expect(chunks).toEqual(HOSTILE.map((text) => ({ [text]: text })))
      expect(watch.account.job?.result).toEqual(HOSTILE)
      expect(watch.told.filter(({ told }) => told === 'end')).toHaveLength(1)
    })

    it('large events arrive whole and in their place', async (kit) => {
      const run = await kit.gateway.run()
      const watch = kit.watch(run.jobId)
      await watch.next('snapshot')
      const large = 'é'.repeat(100 * 1024)
      for (let number = 1; number <= 5; number++) await run.report(chunk(large), chunk(number))
      await run.settle({ kind: 'completed', result: 'x'.repeat(3_000_000) })
      await watch.next('end')
      await expectWhole(kit, watch)
      const chunks = watch.events.flatMap((event) => (event.kind === 'chunk' ? [event.data] : []))
      expect(chunks).toEqual([large, 1, large, 2, large, 3, large, 4, large, 5])
    })

    it('a snapshot may be large', async (kit) => {
      const run = await kit.gateway.run('p'.repeat(3_000_000))
      const { job } = await kit.watch(run.jobId).next('snapshot')
      expect(job).toEqual(await kit.job(run.jobId))
    })
  })
}
