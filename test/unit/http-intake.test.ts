import { describe, expect, test } from 'vitest'
import { Intake } from '../../server/http/body.ts'

/** Works that are under way until they are told to end. */
class Works {
  readonly begun: string[] = []
  readonly #intake: Intake
  readonly #ends = new Map<string, () => void>()

  constructor(intake: Intake) {
    this.#intake = intake
  }

  start(name: string, bytes: number): Promise<string> {
    return this.#intake.through(bytes, () => {
      this.begun.push(name)
      return new Promise((resolve) => this.#ends.set(name, () => resolve(name)))
    })
  }

  async end(name: string, promise: Promise<string>): Promise<void> {
    this.#ends.get(name)?.()
    expect(await promise).toBe(name)
  }
}

describe('an intake', () => {
  test('lets in what there is room for, then one after another', async () => {
    const works = new Works(new Intake(100))
    const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => works.start(name, 40))
    if (!(a && b && c && d && e)) throw new Error('nothing was started')
    expect(works.begun).toEqual(['a', 'b', 'c'])
    await works.end('b', b)
    expect(works.begun).toEqual(['a', 'b', 'c', 'd'])
    await works.end('a', a)
    expect(works.begun).toEqual(['a', 'b', 'c', 'd', 'e'])
    for (const [name, one] of [
      ['c', c],
      ['d', d],
      ['e', e],
    ] as const) {
      await works.end(name, one)
    }
  })

  test('has two under way however large they are, and nobody overtakes', async () => {
    const works = new Works(new Intake(100))
    const first = works.start('first', 1000)
    const second = works.start('second', 1000)
    const large = works.start('large', 1000)
    const small = works.start('small', 1)
    expect(works.begun).toEqual(['first', 'second'])
    await works.end('first', first)
    expect(works.begun).toEqual(['first', 'second', 'large'])
    await works.end('second', second)
    expect(works.begun).toEqual(['first', 'second', 'large', 'small'])
    await works.end('large', large)
    await works.end('small', small)
  })

  test('goes on after work that failed, at once or later', async () => {
    const intake = new Intake(1)
    const failures = [
      intake.through(1, () => Promise.reject(new Error('later'))),
      intake.through(1, () => {
        throw new Error('at once')
      }),
      intake.through(1, () => Promise.reject(new Error('third'))),
    ]
    const works = new Works(intake)
    const next = works.start('next', 1)
    for (const failure of failures) await expect(failure).rejects.toThrow()
    await expect.poll(() => works.begun).toEqual(['next'])
    await works.end('next', next)
  })
})
